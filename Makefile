# How is learnctr built, tried, tested and installed? `make help` lists what there is.
# Everything longer than a line is a script in build/.

MACHINE := $(shell rustc -vV 2>/dev/null | sed -n 's/^host: //p')
# Root has no Rust on most machines: `sudo make install` takes what its user built.
BINARY  := $(if $(MACHINE),target/$(MACHINE)/release/learnctr,$(firstword $(wildcard target/*/release/learnctr)))
PREFIX  ?= /usr/local
DESTDIR ?=
ARGS    ?=

.DEFAULT_GOAL := help
.PHONY: help step build test lint book bench bench-record install uninstall clean vm

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | awk -F '\t' '{ printf "  make %-14s %s\n", $$1, $$2 }'

step: build ## get what is missing, build, and build a container stage by stage (ARGS="--until clone")
	@build/need.sh --optional newuidmap ip ps capsh
	@$(BINARY) step $(ARGS)

build: ## the program: one static file where the libraries for it are there
	@build/release.sh $(MACHINE)

test: ## every test: plans and parsers, real kernel, ordinary user, the page in a browser, cgroup v2 machine, lessons, house
	@build/test.sh

lint: ## formatting, clippy, licences and advisories, the house rules
	@build/test.sh house

book: ## the lessons as a book, mdbook/book/index.html
	@build/book.sh

bench: ## how fast is it, and the page? prints the tables
	@bench/bench.sh
	@build/page.sh $(BINARY) --bench

bench-record: ## the same, and writes it into BENCHMARKS.md
	@bench/bench.sh --record

vm: ## a shell in a machine with cgroup v2 alone
	@build/vm.sh shell

install: $(if $(MACHINE),build) ## binary, man pages and completions under DESTDIR and PREFIX (/usr/local)
	@build/install.sh "$(BINARY)" "$(DESTDIR)$(PREFIX)"

uninstall: ## take the same files away
	@build/install.sh --remove "$(DESTDIR)$(PREFIX)"

clean: ## remove all that was built
	rm -rf target dist mdbook/book

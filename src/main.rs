//! The program: everything is in the library, see `cli`.

fn main() -> std::process::ExitCode {
    learnctr::cli::main()
}

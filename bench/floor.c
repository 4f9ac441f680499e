/* How fast can it be at all? The raw kernel calls of the default container and nothing else: no plan, no checks, no
 * undo, no seccomp filter. floor [--cgroup] ROOTFS CMD [ARG…]. What bench.sh measures all others against. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/close_range.h>
#include <linux/sched.h>
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

/* Stop at the first failure: a floor that skips a call would be no floor. */
#define DO(call)                                                                                                 \
    do {                                                                                                         \
        if ((call) < 0) {                                                                                        \
            fprintf(stderr, "floor: %s: %s\n", #call, strerror(errno));                                          \
            exit(1);                                                                                             \
        }                                                                                                        \
    } while (0)

static const uint64_t CAPS = 0xa80425fb;
static char scratch[] = "/tmp/learnctr-floor.XXXXXX";

static void put(const char *dir, const char *file, const char *text)
{
    char path[256];
    snprintf(path, sizeof path, "%s/%s", dir, file);
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0 || write(fd, text, strlen(text)) < 0) {
        fprintf(stderr, "floor: write %s to %s: %s\n", text, path, strerror(errno));
        exit(1);
    }
    close(fd);
}

/* The group's directories: one on v2, one a controller on v1 and hybrid. */
static char groups[8][128];
static int count;

static int make_groups(void)
{
    int v2 = access("/sys/fs/cgroup/cgroup.controllers", F_OK) == 0;
    if (v2) {
        put("/sys/fs/cgroup", "cgroup.subtree_control", "+cpu +memory +pids");
        snprintf(groups[count], sizeof groups[0], "/sys/fs/cgroup/learnctr-floor-%d", getpid());
        DO(mkdir(groups[count], 0755));
        put(groups[count], "memory.max", "536870912");
        put(groups[count], "cpu.max", "100000 100000");
        put(groups[count++], "pids.max", "100");
        return open(groups[0], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    }
    static const struct { const char *controller, *file, *value; } limits[] = {
        { "memory", "memory.limit_in_bytes", "536870912" },
        { "cpu", "cpu.cfs_quota_us", "100000" },
        { "pids", "pids.max", "100" },
        { "devices", NULL, NULL },
    };
    for (size_t i = 0; i < sizeof limits / sizeof *limits; i++) {
        snprintf(groups[count], sizeof groups[0], "/sys/fs/cgroup/%s/learnctr-floor-%d", limits[i].controller, getpid());
        DO(mkdir(groups[count], 0755));
        if (limits[i].file)
            put(groups[count], limits[i].file, limits[i].value);
        count++;
    }
    return -1;
}

static void over(const char *what, const char *where, unsigned long flags)
{
    if (mount(what, where, NULL, MS_BIND, NULL) < 0) {
        if (errno == ENOENT)
            return;
        DO(-1);
    }
    if (flags)
        DO(mount(NULL, where, NULL, MS_BIND | MS_REMOUNT | flags, NULL));
}

static void build(const char *rootfs, char **command)
{
    char options[512];
    const unsigned long safe = MS_NOSUID | MS_NODEV | MS_NOEXEC;

    DO(setsid());
    DO(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL));
    DO(chdir(scratch));
    /* volatile: else taking the overlay down syncs the whole file system below it, 5 to 30 ms. */
    snprintf(options, sizeof options, "lowerdir=%s,upperdir=upper,workdir=work,volatile", rootfs);
    DO(mount("overlay", "merged", "overlay", 0, options));
    DO(chdir("merged"));

    DO(mount("proc", "proc", "proc", safe, NULL));
    DO(mount("sysfs", "sys", "sysfs", safe | MS_RDONLY, NULL));
    DO(mount("tmpfs", "dev", "tmpfs", MS_NOSUID | MS_STRICTATIME, "mode=755,size=65536k"));
    static const struct { const char *name; int major, minor; } nodes[] = {
        { "dev/null", 1, 3 }, { "dev/zero", 1, 5 }, { "dev/full", 1, 7 },
        { "dev/random", 1, 8 }, { "dev/urandom", 1, 9 }, { "dev/tty", 5, 0 },
    };
    umask(0);
    for (size_t i = 0; i < sizeof nodes / sizeof *nodes; i++)
        DO(mknod(nodes[i].name, S_IFCHR | 0666, makedev(nodes[i].major, nodes[i].minor)));
    umask(022);
    DO(symlink("/proc/self/fd", "dev/fd"));
    DO(symlink("/proc/self/fd/0", "dev/stdin"));
    DO(symlink("/proc/self/fd/1", "dev/stdout"));
    DO(symlink("/proc/self/fd/2", "dev/stderr"));
    DO(symlink("pts/ptmx", "dev/ptmx"));
    DO(mkdir("dev/pts", 0755));
    DO(mkdir("dev/shm", 0755));
    DO(mkdir("dev/mqueue", 0755));
    DO(mount("devpts", "dev/pts", "devpts", MS_NOSUID | MS_NOEXEC, "newinstance,ptmxmode=0666,mode=0620,gid=5"));
    DO(mount("shm", "dev/shm", "tmpfs", safe, "mode=1777,size=65536k"));
    DO(mount("mqueue", "dev/mqueue", "mqueue", safe, NULL));

    static const char *masked[] = { "proc/kcore", "proc/keys", "proc/timer_list", "proc/interrupts", "proc/latency_stats" };
    for (size_t i = 0; i < sizeof masked / sizeof *masked; i++)
        over("dev/null", masked[i], 0);
    static const char *fixed[] = { "proc/bus", "proc/fs", "proc/irq", "proc/sys", "proc/sysrq-trigger" };
    for (size_t i = 0; i < sizeof fixed / sizeof *fixed; i++)
        over(fixed[i], fixed[i], MS_RDONLY | safe);

    int lo = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    struct ifreq up = { .ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING };
    DO(ioctl(lo, SIOCSIFFLAGS, &up));

    DO(syscall(SYS_pivot_root, ".", "."));
    DO(umount2(".", MNT_DETACH));
    DO(chdir("/"));
    DO(sethostname("web", 3));

    for (int cap = 0; cap <= 40; cap++)
        if (!(CAPS >> cap & 1))
            prctl(PR_CAPBSET_DROP, cap);
    struct __user_cap_header_struct header = { _LINUX_CAPABILITY_VERSION_3, 0 };
    struct __user_cap_data_struct sets[2] = { { (uint32_t)CAPS, (uint32_t)CAPS, 0 } };
    DO(syscall(SYS_capset, &header, sets));
    DO(syscall(SYS_close_range, 3, ~0U, CLOSE_RANGE_CLOEXEC));
    DO(execv(command[0], command));
}

int main(int argc, char **argv)
{
    int into = -1, limited = argc > 1 && !strcmp(argv[1], "--cgroup");
    int barrier[2], status = 0;
    char path[64], pid[16];

    argv += limited;
    if (argc - limited < 3) {
        fprintf(stderr, "usage: floor [--cgroup] ROOTFS CMD [ARG...]\n");
        return 2;
    }
    DO(mkdtemp(scratch) ? 0 : -1);
    static const char *dirs[] = { "upper", "work", "merged" };
    for (int i = 0; i < 3; i++) {
        snprintf(path, sizeof path, "%s/%s", scratch, dirs[i]);
        DO(mkdir(path, 0755));
    }
    if (limited)
        into = make_groups();
    DO(pipe2(barrier, O_CLOEXEC));

    struct clone_args args = {
        .flags = CLONE_NEWPID | CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWNET | (into < 0 ? 0 : CLONE_INTO_CGROUP),
        .exit_signal = SIGCHLD,
        .cgroup = into < 0 ? 0 : (uint64_t)into,
    };
    pid_t child = syscall(SYS_clone3, &args, sizeof args);
    DO(child);
    if (child == 0) {
        char ready;
        close(barrier[1]);
        DO(read(barrier[0], &ready, 1));
        if (limited)
            DO(unshare(CLONE_NEWCGROUP));
        build(argv[1], argv + 2);
    }
    close(barrier[0]);
    snprintf(pid, sizeof pid, "%d", child);
    for (int i = 0; limited && into < 0 && i < count; i++)
        put(groups[i], "cgroup.procs", pid);
    DO(write(barrier[1], "x", 1));
    DO(waitpid(child, &status, 0));

    for (int i = 0; i < count; i++)
        DO(rmdir(groups[i]));
    /* What overlay leaves in its work directory, deepest first; then our own. */
    static const char *left[] = { "work/work/incompat/volatile/dirty", "work/work/incompat/volatile",
                                  "work/work/incompat", "work/work", "upper", "work", "merged" };
    for (size_t i = 0; i < sizeof left / sizeof *left; i++) {
        snprintf(path, sizeof path, "%s/%s", scratch, left[i]);
        DO(remove(path));
    }
    DO(rmdir(scratch));
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

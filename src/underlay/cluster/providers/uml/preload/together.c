/*
 * A node's kernel and the process that it runs, on one processor of this host.
 *
 * A node has one virtual processor: its kernel and its processes take turns, by ptrace(). The
 * host's kernel wakes whichever is next on an idle processor, where there is one, and waking that
 * costs more than the turn itself. So both are held to the processor that the kernel is on. Every
 * few milliseconds, and whenever the node has nothing to do, the kernel is let go for one turn, so
 * that the host can move it to a processor that is idle by then; the process follows.
 *
 * Where others want that processor, holding a node there would make it wait while another one is
 * free. The host says how long the kernel has waited (schedstat): where that is a good part of the
 * time, kernel and processes go wherever the host wants them, until it is tried again.
 *
 * What may be used is what the node's starter may use, asked again each time: limits that change
 * (cpusets, taskset, processors that are taken away) hold here, too. Nothing outlives the node.
 */

typedef unsigned long size_type;

struct time {
    long seconds, nanoseconds;
};

extern long syscall(long number, ...);
extern int sched_getaffinity(int pid, size_type size, void *mask);
extern int sched_setaffinity(int pid, size_type size, const void *mask);
extern int sched_getcpu(void);
extern int clock_gettime(int clock, struct time *now);
extern int getppid(void);
extern int open(const char *path, int flags, ...);
extern char **environ;
extern int execvpe(const char *file, char *const *arguments, char *const *environment);
extern long pread(int file, void *to, size_type size, long at);

#define SYS_RT_SIGSUSPEND 130L
#define SIGNALS 8L
#define MONOTONIC_COARSE 6
#define O_RDONLY 0
#define O_CLOEXEC 02000000
#define NOWHERE -1
#define UNKNOWN -2
/* Milliseconds that both are held, and that they aren't once the kernel has waited too long. */
#define TURN 4
#define PAUSE 40
/* Too long is one such part of the time. */
#define SHARE 4
#define WORDS 16
#define BITS 64
#define PROCESSES 256

static unsigned long allowed[WORDS];
static struct {
    int pid, processor;
} processes[PROCESSES];
static int held = NOWHERE;
static int started, off, delays = -1;
static long since, crowded_until, waited;

static long now(void)
{
    struct time time;

    clock_gettime(MONOTONIC_COARSE, &time);
    return time.seconds * 1000 + time.nanoseconds / 1000000;
}

/* How long the kernel has waited for a processor so far, in milliseconds; -1 where that's unknown. */
static long delay(void)
{
    char text[64];
    long length = pread(delays, text, sizeof text - 1, 0), found = 0;
    int at = 0;

    if (length <= 0)
        return -1;
    text[length] = 0;
    while (text[at] && text[at] != ' ')
        at++;
    for (at++; text[at] >= '0' && text[at] <= '9'; at++)
        found = found * 10 + text[at] - '0';
    return found / 1000000;
}

static int hold(int pid, int processor)
{
    unsigned long mask[WORDS] = {0};

    if (processor == NOWHERE)
        return sched_setaffinity(pid, sizeof allowed, allowed);
    if (processor < 0 || processor >= WORDS * BITS)
        return -1;
    mask[processor / BITS] = 1UL << processor % BITS;
    return sched_setaffinity(pid, sizeof mask, mask);
}

/* Let the kernel go wherever its starter may be. */
static void let_go(void)
{
    held = NOWHERE;
    sched_getaffinity(getppid(), sizeof allowed, allowed);
    hold(0, NOWHERE);
}

static void start(void)
{
    started = 1;
    delays = open("/proc/self/schedstat", O_RDONLY | O_CLOEXEC);
    sched_getaffinity(getppid(), sizeof allowed, allowed);
    off = delay() < 0;
}

void stay_together(long pid)
{
    int at = pid % PROCESSES, processor;
    long time;

    if (!started)
        start();
    if (off)
        return;
    time = now();
    processor = held;
    if (held != NOWHERE && time - since >= TURN) {
        if ((delay() - waited) * SHARE > time - since) {
            crowded_until = time + PAUSE;
            processor = NOWHERE;
        }
        let_go();
    } else if (held == NOWHERE && time >= crowded_until) {
        processor = sched_getcpu();
        /* It fails where the processor has just been taken away. */
        held = hold(0, processor) < 0 ? NOWHERE : processor;
        processor = held;
        since = time;
        waited = delay();
    }
    if (processes[at].pid != pid)
        processes[at].processor = UNKNOWN;
    if (processes[at].processor != processor) {
        hold(pid, processor);
        processes[at].pid = pid;
        processes[at].processor = processor;
    }
}

int sigsuspend(const void *mask)
{
    if (held != NOWHERE)
        let_go();
    return syscall(SYS_RT_SIGSUSPEND, mask, SIGNALS);
}

/* A kernel that boots again becomes another program: that starts other processes than these. */
int execvp(const char *file, char *const *arguments)
{
    if (held != NOWHERE)
        let_go();
    return execvpe(file, arguments, environ);
}

/*
 * An alarm that a node's kernel has lost is sent once more.
 *
 * UML 6.12 has one timer of the host's, and sets it anew for whatever its clock has to do next. An
 * alarm that comes while signals are off is marked as pending. Where the mark is found while the
 * alarm before is still being handled, it is taken away and nothing is done (arch/um/os-Linux,
 * signal.c, unblock_signals). That happens to nodes on busy hosts, which are late, so that the next
 * alarm comes at once. No timer runs from then on: what waits for a time there waits for ever, ssh
 * included, and the idle kernel asks for its timer again and again (os_idle_sleep), which keeps a
 * processor of the host's busy.
 *
 * So it is remembered when an alarm is due. Where that was a while ago, and the kernel has set no
 * other since, it gets one more. An alarm too many finds nothing to do, and sets the timer.
 */

typedef unsigned long size_type;

struct time {
    long seconds, nanoseconds;
};

struct times {
    struct time every, first;
};

extern long syscall(long number, ...);
extern int clock_gettime(int clock, struct time *now);
extern int getpid(void);
extern int kill(int pid, int signal);
extern long write(int file, const void *from, size_type size);

#define SYS_TIMER_SETTIME 223L
#define SYS_TIMER_GETTIME 224L
#define MONOTONIC_COARSE 6
#define ABSOLUTE 1
#define ALARM 14
#define CONSOLE 2
#define NEVER -1L
/* Milliseconds after which an alarm is lost: the host's own clock may be some of them late. */
#define LATE 20

static const char told_once[] = "underlay: an alarm of the kernel's clock was lost, and is sent again\n";
static long due = NEVER;
static int told;

static long milliseconds(const struct time *time)
{
    return time->seconds * 1000 + time->nanoseconds / 1000000;
}

static long now(void)
{
    struct time time;

    clock_gettime(MONOTONIC_COARSE, &time);
    return milliseconds(&time);
}

/* Look whether an alarm is overdue; whoever calls this is often here. */
void remind(void)
{
    long time;

    if (due == NEVER || (time = now()) < due + LATE)
        return;
    /* It may be lost, too. */
    due = time;
    if (!told)
        write(CONSOLE, told_once, sizeof told_once - 1);
    told = 1;
    kill(getpid(), ALARM);
}

/* A timer that goes by itself loses one alarm and not all. */
int timer_settime(void *timer, int flags, const struct times *fresh, struct times *before)
{
    long result;

    due = NEVER;
    told = 0;
    result = syscall(SYS_TIMER_SETTIME, (long)timer, flags, fresh, before);
    if (result < 0)
        return -1;
    if (!fresh->every.seconds && !fresh->every.nanoseconds
        && (fresh->first.seconds || fresh->first.nanoseconds))
        due = (flags & ABSOLUTE ? 0 : now()) + milliseconds(&fresh->first);
    return 0;
}

int timer_gettime(void *timer, struct times *left)
{
    remind();
    return syscall(SYS_TIMER_GETTIME, (long)timer, left) < 0 ? -1 : 0;
}

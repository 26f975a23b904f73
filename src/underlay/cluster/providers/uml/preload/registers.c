/*
 * The floating-point registers of a node's processes, as User Mode Linux 6.12 reads and writes
 * them: ptrace() as linux.uml calls it, with what that costs cut down.
 *
 * UML takes a process's NT_X86_XSTATE register set after each system call, page fault and tick,
 * and gives it back before the process goes on; for a page fault it does both twice. Mostly it
 * gives back what it took. Writing is the dear half: the host's kernel maps and unmaps memory for
 * it (arch/x86/kernel/fpu/regset.c, xstateregs_set, vmalloc), a third of what a system call costs.
 * So what a stopped process has is remembered, and written only
 *  - where it is another than the process has: a signal, or another thread of the same memory;
 *  - where code of UML's own has run in the process in between (PTRACE_CONT, arch/um/kernel/skas:
 *    the stub that maps memory or tells of a fault), which may have changed the registers;
 * and then at the last moment, before code of the process's own goes on (PTRACE_SYSEMU). Whatever
 * is owed by then is paid; nothing is read from memory that the process could have changed.
 *
 * On processors whose extended state is larger than UML expects (Intel AMX: about 11 KiB instead
 * of 2,696 bytes) the host refuses any length but the full one with EFAULT, and UML's init dies of
 * it: "ptrace set fp regs failed, errno = 14". What is given back is padded to the full length.
 *
 * No headers are included, so that a compiler alone can build it.
 */

typedef unsigned long size_type;

struct io_vector {
    void *base;
    size_type length;
};

extern long syscall(long number, ...);
extern void *memcpy(void *to, const void *from, size_type length);
extern int memcmp(const void *one, const void *other, size_type length);
extern int *__errno_location(void);
extern void stay_together(long pid);
extern void remind(void);

#define SYS_PTRACE 101L
#define PEEK_TEXT 1L
#define PEEK_USER 3L
#define CONTINUE 7L
#define KILL 8L
#define SINGLE_STEP 9L
#define GET_REGISTERS 12L
#define SET_REGISTERS 13L
#define OLD_SET_OPTIONS 21L
#define SYSTEM_CALL 24L
#define EMULATE 31L
#define EMULATE_STEP 32L
#define SET_OPTIONS 0x4200L
#define GET_SIGNAL 0x4202L
#define GET_REGISTER_SET 0x4204L
#define SET_REGISTER_SET 0x4205L
#define XSTATE 0x202L
#define LARGEST (64 * 1024)
/* UML's own bound is below that (arch/x86/um, FP_SIZE). */
#define KEPT 4096
#define PROCESSES 64

enum standing {
    UNKNOWN,
    /* The process has what is kept. */
    HAS,
    /* It has to get that before code of its own goes on. */
    OWED
};

static struct process {
    long pid;
    enum standing standing;
    size_type length;
    char kept[KEPT] __attribute__((aligned(64)));
} processes[PROCESSES];

static char padded[LARGEST] __attribute__((aligned(64)));
static size_type full_length;

static long write_xstate(long pid, const struct io_vector *given)
{
    struct io_vector whole = {padded, LARGEST};

    if (full_length == 0) {
        if (syscall(SYS_PTRACE, GET_REGISTER_SET, pid, XSTATE, &whole) < 0)
            return -1;
        full_length = whole.length;
        for (size_type i = 0; i < LARGEST; i++)
            padded[i] = 0;
    }
    if (given->length >= full_length)
        return syscall(SYS_PTRACE, SET_REGISTER_SET, pid, XSTATE, given);
    memcpy(padded, given->base, given->length);
    whole.length = full_length;
    return syscall(SYS_PTRACE, SET_REGISTER_SET, pid, XSTATE, &whole);
}

/* Give the process what it is owed. */
static long settle(struct process *known)
{
    struct io_vector owed = {known->kept, known->length};

    if (known->standing != OWED)
        return 0;
    known->standing = HAS;
    return write_xstate(known->pid, &owed);
}

static struct process *process_of(long pid)
{
    struct process *known = &processes[pid % PROCESSES];

    if (known->pid != pid) {
        /* Whose place it takes may have ended since. */
        settle(known);
        known->pid = pid;
        known->standing = UNKNOWN;
    }
    return known;
}

static long get_xstate(struct process *known, struct io_vector *wanted)
{
    long result;

    if (known->standing != UNKNOWN && wanted->length >= known->length) {
        memcpy(wanted->base, known->kept, known->length);
        wanted->length = known->length;
        return 0;
    }
    if (settle(known) < 0)
        return -1;
    result = syscall(SYS_PTRACE, GET_REGISTER_SET, known->pid, XSTATE, wanted);
    known->standing = UNKNOWN;
    if (result >= 0 && wanted->length <= KEPT) {
        memcpy(known->kept, wanted->base, wanted->length);
        known->length = wanted->length;
        known->standing = HAS;
    }
    return result;
}

static long set_xstate(struct process *known, const struct io_vector *given)
{
    if (given->length > KEPT) {
        known->standing = UNKNOWN;
        return write_xstate(known->pid, given);
    }
    if (known->standing != UNKNOWN && known->length <= given->length
        && memcmp(known->kept, given->base, known->length) == 0)
        return 0;
    memcpy(known->kept, given->base, given->length);
    known->length = given->length;
    known->standing = OWED;
    return 0;
}

long ptrace(long request, long pid, long address, void *data)
{
    struct process *known;

    /* Callers pass an int; its upper half is undefined. */
    request = (int)request;
    pid = (int)pid;
    if (pid <= 0)
        return syscall(SYS_PTRACE, request, pid, address, data);
    known = process_of(pid);
    if (request == GET_REGISTER_SET && address == XSTATE)
        return get_xstate(known, data);
    if (request == SET_REGISTER_SET && address == XSTATE)
        return set_xstate(known, data);
    switch (request) {
    case EMULATE:
    case EMULATE_STEP:
    case SYSTEM_CALL:
    case SINGLE_STEP:
        if (settle(known) < 0)
            return -1;
        known->standing = UNKNOWN;
        remind();
        stay_together(pid);
        break;
    case CONTINUE:
        /* Code of UML's own, or that of a process that it looks at while it starts. */
        if (known->standing == HAS)
            known->standing = OWED;
        stay_together(pid);
        break;
    case GET_REGISTERS:
    case SET_REGISTERS:
    case GET_SIGNAL:
        break;
    case PEEK_TEXT:
    case PEEK_TEXT + 1:
    case PEEK_USER: {
        /* The system call stores a peeked word; the C library's function returns it. */
        long word;
        long result = syscall(SYS_PTRACE, request, pid, address, &word);
        if (result < 0)
            return result;
        *__errno_location() = 0;
        return word;
    }
    /* The first to a new process, which may have an ended one's number; and the last one. */
    case SET_OPTIONS:
    case OLD_SET_OPTIONS:
    case KILL:
        known->standing = UNKNOWN;
        break;
    default:
        settle(known);
        known->standing = UNKNOWN;
    }
    return syscall(SYS_PTRACE, request, pid, address, data);
}

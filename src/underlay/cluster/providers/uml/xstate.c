/*
 * Let User Mode Linux 6.12 run on processors whose extended state is larger than
 * it expects (Intel AMX: about 11 KiB instead of 2,696 bytes).
 *
 * UML keeps a fixed part of a process's NT_X86_XSTATE register set and gives that
 * part back. The host refuses any length but the full one with EFAULT
 * (arch/x86/kernel/fpu/regset.c, xstateregs_set), and UML's init dies of it:
 * "ptrace set fp regs failed, errno = 14". Preloaded into linux.uml, this ptrace()
 * pads what is given back to the full length; everything else passes unchanged.
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
extern int *__errno_location(void);

#define SYS_PTRACE 101L
#define PEEK_TEXT 1L
#define PEEK_USER 3L
#define GET_REGISTER_SET 0x4204L
#define SET_REGISTER_SET 0x4205L
#define XSTATE 0x202L
#define LARGEST (64 * 1024)

static char padded[LARGEST] __attribute__((aligned(64)));
static size_type full_length;

static long set_xstate(long pid, const struct io_vector *given)
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

long ptrace(long request, long pid, long address, void *data)
{
    /* Callers pass an int; its upper half is undefined. */
    request = (int)request;
    pid = (int)pid;
    if (request == SET_REGISTER_SET && address == XSTATE)
        return set_xstate(pid, data);
    /* The system call stores a peeked word; the C library's function returns it. */
    if (request >= PEEK_TEXT && request <= PEEK_USER) {
        long word;
        long result = syscall(SYS_PTRACE, request, pid, address, &word);
        if (result < 0)
            return result;
        *__errno_location() = 0;
        return word;
    }
    return syscall(SYS_PTRACE, request, pid, address, data);
}

/*
 * Preloaded into cloud-init on nodes: has the kernel hand out memory in pieces, not page by page.
 *
 * On User Mode Linux each page that is touched for the first time is three turns of ptrace between
 * a node's kernel and its process, and cloud-init's Python touches 11,000 of them. With
 * MCL_FUTURE whatever is mapped from here on is there at once. What the program's own file has of
 * writable memory is mapped already: that is asked for by its headers. Programs that cloud-init
 * starts are none of this library's business.
 *
 * mlockall(2), madvise(2), getauxval(3). Compiled by tcc for x86-64, without headers.
 */

typedef unsigned long size;

struct header {
    unsigned type, flags;
    size offset, address, physical, in_file, in_memory, alignment;
};

enum { AT_PHDR = 3, AT_PHNUM = 5, PT_LOAD = 1, PT_PHDR = 6, PF_W = 2 };
enum { PAGE = 4096, MADV_POPULATE_WRITE = 23, MCL_FUTURE = 2 };

extern int unsetenv(const char *name);
extern size getauxval(size type);
extern int madvise(void *address, size length, int advice);
extern int mlockall(int flags);

__attribute__((constructor)) void ask_for_pieces(void)
{
    struct header *headers = (struct header *)getauxval(AT_PHDR);
    size count = getauxval(AT_PHNUM), base = 0, i;

    unsetenv("LD_PRELOAD");
    for (i = 0; i < count; i++)
        if (headers[i].type == PT_PHDR)
            base = (size)headers - headers[i].address;
    for (i = 0; i < count; i++)
        if (headers[i].type == PT_LOAD && (headers[i].flags & PF_W)) {
            size from = base + headers[i].address, to = from + headers[i].in_memory;
            from &= ~(size)(PAGE - 1);
            madvise((void *)from, to - from, MADV_POPULATE_WRITE);
        }
    mlockall(MCL_FUTURE);
}

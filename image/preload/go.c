/*
 * Preloaded into Docker and podman on nodes, which are written in Go: has the kernel hand out their
 * memory in pieces, not page by page.
 *
 * On User Mode Linux each page that is touched for the first time is three turns of ptrace between
 * a node's kernel and its process. Go asks for its heap in steps of 4 MiB, by mmap of the C library
 * where it is linked with one (runtime/cgo/gcc_mmap.c). To lock all memory, as pieces.c does, would
 * have what Go only reserves be there, too.
 *
 * mmap(2), madvise(2), getauxval(3). Compiled by tcc for x86-64, without headers.
 */

typedef unsigned long size;

struct header {
    unsigned type, flags;
    size offset, address, physical, in_file, in_memory, alignment;
};

enum { AT_PHDR = 3, AT_PHNUM = 5, PT_LOAD = 1, PT_PHDR = 6, PF_W = 2 };
enum { PAGE = 4096, MADV_POPULATE_WRITE = 23, SYS_MMAP = 9 };
enum { PROT_READ = 1, PROT_WRITE = 2, MAP_PRIVATE = 2, MAP_ANONYMOUS = 0x20, MAP_POPULATE = 0x8000 };
/* Less is touched by few faults, and more isn't touched as a whole. */
enum { LEAST = 64 << 10, MOST = 8 << 20 };

extern size getauxval(size type);
extern int madvise(void *address, size length, int advice);
extern long syscall(long number, ...);

void *mmap(void *address, size length, int protection, int flags, int file, long offset)
{
    int writable = (protection & (PROT_READ | PROT_WRITE)) == (PROT_READ | PROT_WRITE);
    int own = (flags & (MAP_PRIVATE | MAP_ANONYMOUS)) == (MAP_PRIVATE | MAP_ANONYMOUS);

    if (writable && own && length >= LEAST && length <= MOST)
        flags |= MAP_POPULATE;
    return (void *)syscall(SYS_MMAP, address, length, (long)protection, (long)flags, (long)file,
                           offset);
}

void *mmap64(void *address, size length, int protection, int flags, int file, long offset)
{
    return mmap(address, length, protection, flags, file, offset);
}

__attribute__((constructor)) void ask_for_pieces(void)
{
    struct header *headers = (struct header *)getauxval(AT_PHDR);
    size count = getauxval(AT_PHNUM), base = 0, i;

    for (i = 0; i < count; i++)
        if (headers[i].type == PT_PHDR)
            base = (size)headers - headers[i].address;
    for (i = 0; i < count; i++)
        if (headers[i].type == PT_LOAD && (headers[i].flags & PF_W)) {
            size from = base + headers[i].address, to = from + headers[i].in_memory;
            from &= ~(size)(PAGE - 1);
            madvise((void *)from, to - from, MADV_POPULATE_WRITE);
        }
}

/*
 * Preloaded into Docker and podman on nodes, which are written in Go: has the kernel hand out their
 * memory in pieces, not page by page.
 *
 * On User Mode Linux each page that is touched for the first time is three turns of ptrace between
 * a node's kernel and its process. Go asks for its heap in steps of 4 MiB, by mmap of the C library
 * where it is linked with one (runtime/cgo/gcc_mmap.c). To lock all memory, as pieces.c does, would
 * have what Go only reserves be there, too.
 *
 * mmap(2). Compiled by tcc for x86-64, without the C library's headers.
 */

#include "started.h"

enum { PROT_READ = 1, PROT_WRITE = 2, MAP_PRIVATE = 2, MAP_ANONYMOUS = 0x20, MAP_POPULATE = 0x8000 };
enum { SYS_MMAP = 9 };
/* Less is touched by few faults, and more isn't touched as a whole. */
enum { LEAST = 64 << 10, MOST = 8 << 20 };

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
    populate_started();
}

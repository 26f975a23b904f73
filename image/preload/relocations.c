/*
 * An auditor of the dynamic linker, for Docker and podman on nodes: has the kernel hand out what a
 * program's relocations write to, in one piece and before they do.
 *
 * dockerd, which starts itself again for each container, has 31 MB of them: 7,600 pages, each a
 * copy of its own, of which each is three turns of ptrace on User Mode Linux when it is written to
 * for the first time. A library that is preloaded comes too late for that.
 *
 * rtld-audit(7), madvise(2). Compiled by tcc for x86-64, without the C library's headers. It is loaded into a
 * namespace of its own, and a C library for it alone would cost more than it saves.
 */

#include "writable.h"

struct file {
    unsigned char kind[16];
    unsigned short type, machine;
    unsigned version;
    size entry, headers, sections;
    unsigned flags;
    unsigned short own_size, header_size, header_count;
};

struct link_map {
    size base;
    char *name;
};

unsigned la_version(unsigned version)
{
    return version;
}

unsigned la_objopen(struct link_map *map, long space, size *cookie)
{
    struct file *file = (struct file *)map->base;

    /* The program itself has no name; one that isn't moved when it is loaded has nothing to write. */
    if (!map->base || map->name[0])
        return 0;
    populate(map->base, (struct header *)(map->base + file->headers), file->header_count);
    return 0;
}

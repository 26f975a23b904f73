/*
 * Preloaded into cloud-init on nodes: has the kernel hand out memory in pieces, not page by page.
 *
 * On User Mode Linux each page that is touched for the first time is three turns of ptrace between
 * a node's kernel and its process, and cloud-init's Python touches 11,000 of them. With
 * MCL_FUTURE whatever is mapped from here on is there at once. What the program's own file has of
 * writable memory is mapped already: that is asked for by its headers. Programs that cloud-init
 * starts are none of this library's business.
 *
 * mlockall(2). Compiled by tcc for x86-64, without the C library's headers.
 */

#include "started.h"

enum { MCL_FUTURE = 2 };

extern int unsetenv(const char *name);
extern int mlockall(int flags);

__attribute__((constructor)) void ask_for_pieces(void)
{
    unsetenv("LD_PRELOAD");
    populate_started();
    mlockall(MCL_FUTURE);
}

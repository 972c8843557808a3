/* Fails the n-th allocation, or the n-th system call of a kind, once: loaded with LD_PRELOAD, steered with ctypes.

       fail_arm(kind, n)       the n-th call from now on of this kind fails; n = 0: none
       fail_disarm()           how many calls of the kind there were; negative when one of them failed

   Only calls of the thread that armed it count: others go on as they would. glibc only. */
#define _GNU_SOURCE
#include <errno.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>

enum { MEMORY = 1, WRITE = 2, FSYNC = 3, RENAME = 4, OPEN = 5 };

static __thread int armed;
static __thread long nth, calls, failed;

void fail_arm(int kind, long n) {
    nth = n;
    calls = failed = 0;
    armed = kind;
}

long fail_disarm(void) {
    armed = 0;
    return failed ? -calls : calls;
}

static int fails(int kind) {
    if (armed != kind)
        return 0;
    if (++calls != nth)
        return 0;
    failed = 1;
    return 1;
}

extern void* __libc_malloc(size_t);
extern void* __libc_calloc(size_t, size_t);
extern void* __libc_realloc(void*, size_t);
extern void* __libc_memalign(size_t, size_t);

static void* no_memory(void) {
    errno = ENOMEM;
    return NULL;
}

void* malloc(size_t size) { return fails(MEMORY) ? no_memory() : __libc_malloc(size); }
void* calloc(size_t count, size_t size) { return fails(MEMORY) ? no_memory() : __libc_calloc(count, size); }
void* realloc(void* place, size_t size) { return fails(MEMORY) ? no_memory() : __libc_realloc(place, size); }
void* memalign(size_t alignment, size_t size) {
    return fails(MEMORY) ? no_memory() : __libc_memalign(alignment, size);
}
void* aligned_alloc(size_t alignment, size_t size) { return memalign(alignment, size); }
int posix_memalign(void** place, size_t alignment, size_t size) {
    if (fails(MEMORY))
        return ENOMEM;
    *place = __libc_memalign(alignment, size);
    return *place ? 0 : ENOMEM;
}
void* mmap(void* place, size_t size, int protection, int flags, int fd, off_t offset) {
    if (fails(MEMORY)) {
        errno = ENOMEM;
        return MAP_FAILED;
    }
    return (void*)syscall(SYS_mmap, place, size, protection, flags, fd, offset);
}
void* mmap64(void* place, size_t size, int protection, int flags, int fd, off64_t offset) {
    return mmap(place, size, protection, flags, fd, (off_t)offset);
}

static int refused(int kind, int error) {
    if (!fails(kind))
        return 0;
    errno = error;
    return 1;
}

ssize_t write(int fd, const void* data, size_t size) {
    return refused(WRITE, ENOSPC) ? -1 : syscall(SYS_write, fd, data, size);
}
int fsync(int fd) { return refused(FSYNC, EIO) ? -1 : (int)syscall(SYS_fsync, fd); }
int rename(const char* from, const char* to) {
    return refused(RENAME, EACCES) ? -1 : (int)syscall(SYS_renameat2, -100, from, -100, to, 0);
}
static int open_file(int folder, const char* path, int flags, mode_t mode) {
    return refused(OPEN, EMFILE) ? -1 : (int)syscall(SYS_openat, folder, path, flags, mode);
}
#define MODE_OF(flags) \
    mode_t mode = 0; \
    if ((flags) & (O_CREAT_ | O_TMPFILE_)) { \
        va_list rest; \
        va_start(rest, flags); \
        mode = va_arg(rest, mode_t); \
        va_end(rest); \
    }
enum { O_CREAT_ = 0100, O_TMPFILE_ = 020000000 };
int open(const char* path, int flags, ...) {
    MODE_OF(flags)
    return open_file(-100, path, flags, mode);
}
int open64(const char* path, int flags, ...) {
    MODE_OF(flags)
    return open_file(-100, path, flags, mode);
}
int openat(int folder, const char* path, int flags, ...) {
    MODE_OF(flags)
    return open_file(folder, path, flags, mode);
}

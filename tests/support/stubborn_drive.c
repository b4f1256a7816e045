/* A drive that does not offer what ordinary disks do, for paths that contain $DRIVE; preloaded into a process.
   LACKS is a list of: chmod sync maps locks. ERRNO is what the drive answers. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static int refuses(const char *what, const char *path) {
    const char *lacks = getenv("LACKS"), *drive = getenv("DRIVE");
    if (!lacks || !drive || !path || !strstr(lacks, what) || !strstr(path, drive)) return 0;
    errno = atoi(getenv("ERRNO"));
    return 1;
}
static const char *path_of(int fd) {
    static __thread char path[4096];
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length < 0) return NULL;
    path[length] = 0;
    return path;
}
#define REAL(name, ...) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))(__VA_ARGS__)

int chmod(const char *path, mode_t mode) { return refuses("chmod", path) ? -1 : REAL(chmod, path, mode); }
int fchmod(int fd, mode_t mode) { return refuses("chmod", path_of(fd)) ? -1 : REAL(fchmod, fd, mode); }
int fchmodat(int folder, const char *path, mode_t mode, int flags) {
    return refuses("chmod", path) ? -1 : REAL(fchmodat, folder, path, mode, flags);
}
int fsync(int fd) { return refuses("sync", path_of(fd)) ? -1 : REAL(fsync, fd); }
int fdatasync(int fd) { return refuses("sync", path_of(fd)) ? -1 : REAL(fdatasync, fd); }
int flock(int fd, int operation) { return refuses("locks", path_of(fd)) ? -1 : REAL(flock, fd, operation); }
static int is_shared_memory(int fd, int flags) {
    const char *path = fd >= 0 && (flags & MAP_SHARED) ? path_of(fd) : NULL;
    size_t length = path ? strlen(path) : 0;
    return length > 4 && !strcmp(path + length - 4, "-shm") && refuses("maps", path);
}
void *mmap(void *at, size_t length, int protection, int flags, int fd, off_t offset) {
    return is_shared_memory(fd, flags) ? MAP_FAILED : REAL(mmap, at, length, protection, flags, fd, offset);
}
void *mmap64(void *at, size_t length, int protection, int flags, int fd, off_t offset) {
    return mmap(at, length, protection, flags, fd, offset);
}

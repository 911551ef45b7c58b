/*
 * Preloaded into a process, makes its wall clock jump: adds the number of seconds at the beginning of
 * the file HARKARA_FAULTS_CLOCK, as text. The file is mapped, so that a change takes effect immediately
 * and reading costs nothing. The monotonic clock is unchanged, as in a real jump.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static const volatile char *file;

__attribute__((constructor)) static void map_file(void) {
    const char *path = getenv("HARKARA_FAULTS_CLOCK");
    int descriptor = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    if (descriptor < 0) {
        return;
    }
    void *mapped = mmap(NULL, 32, PROT_READ, MAP_SHARED, descriptor, 0);
    close(descriptor);
    if (mapped != MAP_FAILED) {
        file = mapped;
    }
}

static long jump(void) {
    long seconds = 0;
    if (file == NULL) {
        return 0;
    }
    int negative = file[0] == '-';
    for (int at = 1; at < 31 && file[at] >= '0' && file[at] <= '9'; at++) {
        seconds = seconds * 10 + (file[at] - '0');
    }
    return negative ? -seconds : seconds;
}

int clock_gettime(clockid_t clock, struct timespec *now) {
    static int (*real)(clockid_t, struct timespec *);
    if (real == NULL) {
        real = (int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT, "clock_gettime");
    }
    int result = real(clock, now);
    if (result == 0 && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) {
        now->tv_sec += jump();
    }
    return result;
}

int gettimeofday(struct timeval *restrict now, void *restrict zone) {
    struct timespec precise;
    (void)zone;
    if (clock_gettime(CLOCK_REALTIME, &precise) != 0) {
        return -1;
    }
    now->tv_sec = precise.tv_sec;
    now->tv_usec = precise.tv_nsec / 1000;
    return 0;
}

time_t time(time_t *out) {
    struct timespec precise;
    if (clock_gettime(CLOCK_REALTIME, &precise) != 0) {
        return (time_t)-1;
    }
    if (out != NULL) {
        *out = precise.tv_sec;
    }
    return precise.tv_sec;
}

// A machine whose clock is AHEAD seconds ahead of this one's, for a program that has this loaded before its libraries.
#define _GNU_SOURCE
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

int clock_gettime(clockid_t clock, struct timespec *time) {
    int failed = syscall(SYS_clock_gettime, clock, time);
    if (!failed && clock == CLOCK_REALTIME) time->tv_sec += AHEAD;
    return failed;
}

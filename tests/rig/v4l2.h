/* One camera of the stand-in of V4L2, which v4l2.c describes: what the two files share. */
#pragma once
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/videodev2.h>
#include <sys/types.h>
#include <time.h>

enum { FILES = 1024, FORMATS = 4, SIZES = 24, RATES = 8, BUFFERS = 32, PICTURES = 64, GAP = 5 };
enum { STEP_NS = 1000000 };

typedef struct { unsigned width, height; int is_range, rates; double fps[RATES]; } Size;
typedef struct { unsigned fourcc; int sizes; Size size[SIZES]; } Format;
typedef struct { unsigned char *bytes; size_t size; } Picture;
typedef struct { int unplug, stall, corrupt, error, duplicate, gap; } Faults;

typedef struct {
    char path[PATH_MAX], driver[16], card[32], bus[32], node[16], pictures[PATH_MAX];
    ino_t inode;
    int held, is_nonblocking, is_denied, is_realtime, is_gone;
    unsigned pad, late_ms;
    int formats, format, size, rate; /* how many there are, and which is chosen */
    Format offered[FORMATS];
    Faults faults;
    int photos;
    Picture photo[PICTURES];
    unsigned buffers, frames, sequence;
    struct v4l2_buffer buffer[BUFFERS], last;
    unsigned queued[BUFFERS], done[BUFFERS]; /* numbers of buffers, first in first out */
    unsigned n_queued, n_done;
    unsigned char *memory;
    int is_streaming;
    long long due_ns;
} Camera;

#define REAL(name, type, ...) ((type (*)(__VA_ARGS__))dlsym(RTLD_NEXT, #name))

static inline int fail(int code) { errno = code; return -1; }

static inline long long now_ns(clockid_t clock) {
    struct timespec now;
    clock_gettime(clock, &now);
    return now.tv_sec * 1000000000LL + now.tv_nsec;
}

#pragma GCC visibility push(hidden)
/* Where the folder keeps /dev/videoN; NULL for every other path. */
const char *played(const char *path, char *out);
/* The camera that a file describes, not open; NULL where there is none, with errno. */
Camera *read_camera(const char *path);
void forget_camera(Camera *c);
int open_camera(const char *path, int flags);
void close_camera(int file);
/* The open camera behind a file; NULL where it is another file. */
Camera *camera_of(int file);
int is_gone(Camera *c);
void free_buffers(Camera *c);
long long interval_ns(Camera *c);
unsigned image_size(Camera *c);
/* What poll says of it: something to take, an error, or nothing. */
int events_of(Camera *c);
/* Wait for events; 0 after the time, which is for ever where it is negative. */
int wait_for(Camera *c, long long limit_ns);
#pragma GCC visibility pop

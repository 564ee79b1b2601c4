/* A stand-in for USB cameras, for tests alone: loaded with LD_PRELOAD it answers what a program
   asks of /dev/videoN as the kernel's uvcvideo does, and leaves every other file alone.

   RIG_V4L2 names a folder that plays the machine. Each regular file dev/videoN below it is a
   camera, and its text says which one; without the file the camera is unplugged. Listing /dev
   lists that folder. One line each:

     driver, card, bus TEXT       what VIDIOC_QUERYCAP gives
     node capture|metadata|output what this node is for
     format FOURCC SIZE@FPS,FPS.. sizes and rates, the default first; "~" before a size makes it
                                  the largest of a continuous range
     pictures FOLDER              its files, in the order of their names, are the MJPG frames
     clock monotonic|realtime     which clock stamps the frames
     pad N                        zeros after each coded picture
     late N                       milliseconds until the first picture, besides its interval
     deny                         open answers EACCES

   and what goes wrong, with N counting frames from 0 since streaming began:

     unplug N      the file goes when frame N is due, and every call answers ENODEV
     stall N       no frame from N on
     corrupt N     half of a coded picture
     error N       the same, with V4L2_BUF_FLAG_ERROR
     duplicate N   the picture, number and stamp of the frame before
     gap N         five numbers and their time are missing before it

   As in the real driver, frames come whether or not anybody takes them: what finds no free buffer
   is lost and leaves a gap in the numbers, and whoever sets a format first has the camera until
   the buffers are freed; others get EBUSY. An open camera is a memory file, so that mmap needs no
   stand-in. */
#include "v4l2.h"

#include <dirent.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* The calls of V4L2. */

static int take_privileges(Camera *c) {
    return flock(c->held, LOCK_EX | LOCK_NB) ? fail(EBUSY) : 0;
}

static int query_capability(Camera *c, struct v4l2_capability *out) {
    int is_metadata = !strcmp(c->node, "metadata");
    unsigned what = is_metadata ? V4L2_CAP_META_CAPTURE
                    : strcmp(c->node, "output") ? V4L2_CAP_VIDEO_CAPTURE : V4L2_CAP_VIDEO_OUTPUT;
    memset(out, 0, sizeof *out);
    memcpy(out->driver, c->driver, sizeof c->driver);
    memcpy(out->card, c->card, sizeof c->card);
    memcpy(out->bus_info, c->bus, sizeof c->bus);
    out->version = 6 << 16 | 1 << 8;
    out->device_caps = what | V4L2_CAP_STREAMING | V4L2_CAP_EXT_PIX_FORMAT;
    out->capabilities = out->device_caps | V4L2_CAP_DEVICE_CAPS
                        | (is_metadata ? V4L2_CAP_VIDEO_CAPTURE : 0); /* of the whole camera */
    return 0;
}

static int enumerate_format(Camera *c, struct v4l2_fmtdesc *out) {
    if (out->index >= (unsigned)c->formats) return fail(EINVAL);
    out->pixelformat = c->offered[out->index].fourcc;
    out->flags = out->pixelformat == V4L2_PIX_FMT_MJPEG ? V4L2_FMT_FLAG_COMPRESSED : 0;
    snprintf((char *)out->description, sizeof out->description, "%s",
             out->flags ? "Motion-JPEG" : "YUYV 4:2:2");
    return 0;
}

static Format *format_of(Camera *c, unsigned fourcc) {
    for (int i = 0; i < c->formats; i++)
        if (c->offered[i].fourcc == fourcc) return &c->offered[i];
    return NULL;
}

static int enumerate_size(Camera *c, struct v4l2_frmsizeenum *out) {
    Format *format = format_of(c, out->pixel_format);
    if (!format || out->index >= (unsigned)format->sizes) return fail(EINVAL);
    Size *size = &format->size[out->index];
    out->type = size->is_range ? V4L2_FRMSIZE_TYPE_CONTINUOUS : V4L2_FRMSIZE_TYPE_DISCRETE;
    if (size->is_range)
        out->stepwise = (struct v4l2_frmsize_stepwise){16, size->width, 1, 16, size->height, 1};
    else
        out->discrete = (struct v4l2_frmsize_discrete){size->width, size->height};
    return 0;
}

static struct v4l2_fract interval(double fps) {
    int is_whole = fps == (int)fps;
    return (struct v4l2_fract){is_whole ? 1 : 2, is_whole ? (int)fps : (int)(2 * fps)};
}

static int enumerate_interval(Camera *c, struct v4l2_frmivalenum *out) {
    Format *format = format_of(c, out->pixel_format);
    for (int i = 0; format && i < format->sizes; i++) {
        Size *size = &format->size[i];
        if (size->width != out->width || size->height != out->height) continue;
        if (out->index >= (unsigned)size->rates) return fail(EINVAL);
        out->type = V4L2_FRMIVAL_TYPE_DISCRETE;
        out->discrete = interval(size->fps[out->index]);
        return 0;
    }
    return fail(EINVAL);
}

static void describe(Camera *c, struct v4l2_format *out) {
    Format *format = &c->offered[c->format];
    Size *size = &format->size[c->size];
    int is_coded = format->fourcc == V4L2_PIX_FMT_MJPEG;
    memset(&out->fmt, 0, sizeof out->fmt);
    out->fmt.pix = (struct v4l2_pix_format){
        .width = size->width, .height = size->height, .pixelformat = format->fourcc,
        .field = V4L2_FIELD_NONE, .bytesperline = is_coded ? 0 : size->width * 2,
        .sizeimage = image_size(c), .colorspace = V4L2_COLORSPACE_SRGB};
}

/* Choose what is nearest to what is asked for; `is_trial` leaves the camera as it was. */
static int set_format(Camera *c, struct v4l2_format *wanted, int is_trial) {
    if (wanted->type != V4L2_BUF_TYPE_VIDEO_CAPTURE) return fail(EINVAL);
    if (!is_trial && take_privileges(c)) return -1;
    if (!is_trial && c->buffers) return fail(EBUSY);
    Camera chosen = *c;
    Format *format = format_of(c, wanted->fmt.pix.pixelformat);
    chosen.format = format ? format - c->offered : 0;
    chosen.size = chosen.rate = 0;
    long long best = LLONG_MAX, area = (long long)wanted->fmt.pix.width * wanted->fmt.pix.height;
    for (int i = 0; i < chosen.offered[chosen.format].sizes; i++) {
        Size *size = &chosen.offered[chosen.format].size[i];
        long long off = llabs((long long)size->width * size->height - area);
        if (off < best) best = off, chosen.size = i;
    }
    describe(&chosen, wanted);
    if (!is_trial) c->format = chosen.format, c->size = chosen.size, c->rate = 0;
    return 0;
}

static int get_rate(Camera *c, struct v4l2_streamparm *out) {
    if (out->type != V4L2_BUF_TYPE_VIDEO_CAPTURE) return fail(EINVAL);
    memset(&out->parm, 0, sizeof out->parm);
    out->parm.capture.capability = V4L2_CAP_TIMEPERFRAME;
    out->parm.capture.timeperframe = interval(c->offered[c->format].size[c->size].fps[c->rate]);
    return 0;
}

static int set_rate(Camera *c, struct v4l2_streamparm *wanted) {
    if (c->is_streaming || take_privileges(c)) return fail(EBUSY);
    struct v4l2_fract asked = wanted->parm.capture.timeperframe;
    Size *size = &c->offered[c->format].size[c->size];
    double fps = asked.numerator ? (double)asked.denominator / asked.numerator : size->fps[0];
    for (int i = 0; i < size->rates; i++) {
        double off = size->fps[i] - fps, least = size->fps[c->rate] - fps;
        if (off * off < least * least) c->rate = i;
    }
    return get_rate(c, wanted);
}

static int request_buffers(int file, Camera *c, struct v4l2_requestbuffers *wanted) {
    if (wanted->type != V4L2_BUF_TYPE_VIDEO_CAPTURE || wanted->memory != V4L2_MEMORY_MMAP)
        return fail(EINVAL);
    if (take_privileges(c)) return -1;
    if (c->is_streaming) return fail(EBUSY);
    unsigned count = wanted->count < BUFFERS ? wanted->count : BUFFERS;
    free_buffers(c);
    if (!count) return 0;
    if (take_privileges(c)) return -1;
    long page = sysconf(_SC_PAGESIZE);
    unsigned length = (image_size(c) + c->pad + page - 1) / page * page;
    if (ftruncate(file, (off_t)count * length)) return -1;
    c->memory = mmap(NULL, (size_t)count * length, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    if (c->memory == MAP_FAILED) abort();
    for (unsigned i = 0; i < count; i++)
        c->buffer[i] = (struct v4l2_buffer){
            .index = i, .type = wanted->type, .memory = wanted->memory, .length = length,
            .m.offset = i * length, .field = V4L2_FIELD_NONE};
    c->buffers = wanted->count = count;
    return 0;
}

static int queue_buffer(Camera *c, struct v4l2_buffer *buffer) {
    if (buffer->index >= c->buffers) return fail(EINVAL);
    struct v4l2_buffer *ours = &c->buffer[buffer->index];
    if (ours->flags & (V4L2_BUF_FLAG_QUEUED | V4L2_BUF_FLAG_DONE)) return fail(EINVAL);
    ours->flags = V4L2_BUF_FLAG_MAPPED | V4L2_BUF_FLAG_QUEUED;
    c->queued[c->n_queued++] = buffer->index;
    *buffer = *ours;
    return 0;
}

static int dequeue_buffer(Camera *c, struct v4l2_buffer *buffer) {
    if (!c->is_streaming) return fail(EINVAL);
    int events = c->is_nonblocking ? events_of(c) : wait_for(c, -1);
    if (c->is_gone) return fail(ENODEV);
    if (!events) return fail(EAGAIN);
    struct v4l2_buffer *ours = &c->buffer[c->done[0]];
    memmove(c->done, c->done + 1, --c->n_done * sizeof *c->done);
    *buffer = *ours;
    buffer->flags &= ~V4L2_BUF_FLAG_DONE;
    ours->flags = V4L2_BUF_FLAG_MAPPED;
    return 0;
}

static int start_streaming(Camera *c) {
    if (take_privileges(c)) return -1;
    if (!c->buffers) return fail(EINVAL);
    c->frames = c->sequence = 0;
    c->due_ns = now_ns(CLOCK_MONOTONIC) + interval_ns(c) + c->late_ms * 1000000LL;
    c->is_streaming = 1;
    return 0;
}

static int stop_streaming(Camera *c) {
    c->is_streaming = c->n_queued = c->n_done = 0;
    for (unsigned i = 0; i < c->buffers; i++) c->buffer[i].flags = 0;
    return 0;
}

static int get_input(struct v4l2_input *out) {
    if (out->index) return fail(EINVAL);
    *out = (struct v4l2_input){.name = "Camera 1", .type = V4L2_INPUT_TYPE_CAMERA};
    return 0;
}

static int query_buffer(Camera *c, struct v4l2_buffer *out) {
    if (out->index >= c->buffers) return fail(EINVAL);
    *out = c->buffer[out->index];
    return 0;
}

static int answer_setup(int file, Camera *c, unsigned request, void *data) {
    switch (request) {
    case VIDIOC_ENUM_FMT: return enumerate_format(c, data);
    case VIDIOC_ENUM_FRAMESIZES: return enumerate_size(c, data);
    case VIDIOC_ENUM_FRAMEINTERVALS: return enumerate_interval(c, data);
    case VIDIOC_G_FMT: describe(c, data); return 0;
    case VIDIOC_S_FMT: return set_format(c, data, 0);
    case VIDIOC_TRY_FMT: return set_format(c, data, 1);
    case VIDIOC_G_PARM: return get_rate(c, data);
    case VIDIOC_S_PARM: return set_rate(c, data);
    case VIDIOC_ENUMINPUT: return get_input(data);
    case VIDIOC_G_INPUT: return *(int *)data = 0;
    case VIDIOC_S_INPUT: return *(int *)data ? fail(EINVAL) : 0;
    case VIDIOC_REQBUFS: return request_buffers(file, c, data);
    case VIDIOC_QUERYCTRL: case VIDIOC_G_CTRL: case VIDIOC_S_CTRL: return fail(EINVAL);
    default: return fail(ENOTTY);
    }
}

static int answer(int file, Camera *c, unsigned request, void *data) {
    if (is_gone(c) && request != VIDIOC_STREAMOFF) return fail(ENODEV);
    if (request == VIDIOC_QUERYCAP) return query_capability(c, data);
    if (strcmp(c->node, "capture")) return fail(EINVAL);
    switch (request) {
    case VIDIOC_QUERYBUF: return query_buffer(c, data);
    case VIDIOC_QBUF: return queue_buffer(c, data);
    case VIDIOC_DQBUF: return dequeue_buffer(c, data);
    case VIDIOC_STREAMON: return start_streaming(c);
    case VIDIOC_STREAMOFF: return stop_streaming(c);
    default: return answer_setup(file, c, request, data);
    }
}

/* The calls of libc. */

int ioctl(int file, unsigned long request, ...) {
    va_list rest;
    va_start(rest, request);
    void *data = va_arg(rest, void *);
    va_end(rest);
    Camera *c = camera_of(file);
    if (c) return answer(file, c, (unsigned)request, data);
    return REAL(ioctl, int, int, unsigned long, ...)(file, request, data);
}

#define OPEN(name, NEXT, ...)                                                                      \
    va_list rest;                                                                                  \
    va_start(rest, flags);                                                                         \
    mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(rest, mode_t) : 0;                        \
    va_end(rest);                                                                                  \
    char at[PATH_MAX];                                                                             \
    return played(path, at) ? open_camera(at, flags) : NEXT(__VA_ARGS__)

int open(const char *path, int flags, ...) {
    OPEN(open, REAL(open, int, const char *, int, ...), path, flags, mode);
}
int open64(const char *path, int flags, ...) {
    OPEN(open64, REAL(open64, int, const char *, int, ...), path, flags, mode);
}
int openat(int folder, const char *path, int flags, ...) {
    OPEN(openat, REAL(openat, int, int, const char *, int, ...), folder, path, flags, mode);
}
int openat64(int folder, const char *path, int flags, ...) {
    OPEN(openat64, REAL(openat64, int, int, const char *, int, ...), folder, path, flags, mode);
}
int __open_2(const char *path, int flags) { return open(path, flags); }
int __open64_2(const char *path, int flags) { return open64(path, flags); }

int close(int file) {
    if (camera_of(file)) close_camera(file);
    return REAL(close, int, int)(file);
}

ssize_t read(int file, void *to, size_t size) {
    if (camera_of(file)) return fail(EINVAL);
    return REAL(read, ssize_t, int, void *, size_t)(file, to, size);
}

/* A program that waits for a camera waits for that one alone. glibc's header says that poll only
   writes to the files, which makes gcc take them for unset. */
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
int poll(struct pollfd *files, nfds_t count, int limit_ms) {
    Camera *c = count == 1 ? camera_of(files->fd) : NULL;
    if (!c) return REAL(poll, int, struct pollfd *, nfds_t, int)(files, count, limit_ms);
    files->revents = wait_for(c, limit_ms * 1000000LL) & (files->events | POLLERR | POLLHUP);
    return files->revents != 0;
}

int select(int count, fd_set *in, fd_set *out, fd_set *other, struct timeval *limit) {
    for (int file = 0; in && file < count && file < FILES; file++) {
        Camera *c = FD_ISSET(file, in) ? camera_of(file) : NULL;
        if (!c) continue;
        long long limit_ns = limit ? limit->tv_sec * 1000000000LL + limit->tv_usec * 1000LL : -1;
        if (wait_for(c, limit_ns)) return 1;
        FD_ZERO(in);
        return 0;
    }
    return REAL(select, int, int, fd_set *, fd_set *, fd_set *, struct timeval *)(count, in, out,
                                                                                 other, limit);
}

DIR *opendir(const char *path) {
    char at[PATH_MAX];
    const char *root = getenv("RIG_V4L2");
    snprintf(at, sizeof at, "%s/dev", root ? root : "");
    return REAL(opendir, DIR *, const char *)(root && !strcmp(path, "/dev") ? at : path);
}

int access(const char *path, int mode) {
    char at[PATH_MAX];
    int (*next)(const char *, int) = REAL(access, int, const char *, int);
    if (!played(path, at)) return next(path, mode);
    Camera *c = next(at, F_OK) ? NULL : read_camera(at);
    if (!c) return -1;
    int code = c->is_denied && mode != F_OK ? fail(EACCES) : 0;
    return forget_camera(c), code;
}

#define STAT(NEXT, ...)                                                                            \
    char at[PATH_MAX];                                                                             \
    const char *node = played(path, at);                                                           \
    if (node) path = node;                                                                         \
    int code = NEXT(__VA_ARGS__);                                                                  \
    if (node && !code) out->st_mode = (out->st_mode & ~S_IFMT) | S_IFCHR;                          \
    return code

int stat(const char *path, struct stat *out) {
    STAT(REAL(stat, int, const char *, struct stat *), path, out);
}
int stat64(const char *path, struct stat64 *out) {
    STAT(REAL(stat64, int, const char *, struct stat64 *), path, out);
}
int __xstat(int version, const char *path, struct stat *out) {
    STAT(REAL(__xstat, int, int, const char *, struct stat *), version, path, out);
}
int __xstat64(int version, const char *path, struct stat64 *out) {
    STAT(REAL(__xstat64, int, int, const char *, struct stat64 *), version, path, out);
}

/* The cameras of the stand-in of V4L2: their texts, their pictures and their time. */
#include "v4l2.h"

#include <dirent.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static Camera *cameras[FILES];

static int real_open(const char *path, int flags) {
    return REAL(open, int, const char *, int, ...)(path, flags | O_CLOEXEC, 0);
}
static int real_close(int file) { return REAL(close, int, int)(file); }

Camera *camera_of(int file) { return file >= 0 && file < FILES ? cameras[file] : NULL; }

const char *played(const char *path, char *out) {
    const char *root = getenv("RIG_V4L2");
    unsigned number;
    int end = 0;
    if (!root || !path) return NULL;
    size_t length = strlen(root);
    const char *node = strncmp(path, root, length) ? path : path + length;
    if (sscanf(node, "/dev/video%u%n", &number, &end) != 1 || node[end]) return NULL;
    snprintf(out, PATH_MAX, "%s/dev/video%u", root, number);
    return out;
}

/* Reading the text of a camera. */

static void read_rates(Size *size, char *text) {
    for (char *state, *word = strtok_r(text, ",", &state); word && size->rates < RATES;
         word = strtok_r(NULL, ",", &state))
        size->fps[size->rates++] = atof(word);
}

static void read_format(Camera *c, char *text) {
    char *state, *code = strtok_r(text, " ", &state), *word;
    if (!code || strlen(code) != 4 || c->formats == FORMATS) return;
    Format *format = &c->offered[c->formats++];
    format->fourcc = v4l2_fourcc(code[0], code[1], code[2], code[3]);
    while ((word = strtok_r(NULL, " ", &state)) && format->sizes < SIZES) {
        Size *size = &format->size[format->sizes++];
        size->is_range = *word == '~';
        int end = 0;
        sscanf(word + size->is_range, "%ux%u@%n", &size->width, &size->height, &end);
        read_rates(size, word + size->is_range + end);
    }
}

static void read_line(Camera *c, char *key, char *value) {
    struct { const char *key; char *to; size_t size; } texts[] = {
        {"driver", c->driver, sizeof c->driver}, {"card", c->card, sizeof c->card},
        {"bus", c->bus, sizeof c->bus}, {"node", c->node, sizeof c->node},
        {"pictures", c->pictures, sizeof c->pictures}};
    struct { const char *key; int *to; } numbers[] = {
        {"unplug", &c->faults.unplug}, {"stall", &c->faults.stall},
        {"corrupt", &c->faults.corrupt}, {"error", &c->faults.error},
        {"duplicate", &c->faults.duplicate}, {"gap", &c->faults.gap}, {"pad", (int *)&c->pad},
        {"late", (int *)&c->late_ms}};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        if (!strcmp(key, texts[i].key)) snprintf(texts[i].to, texts[i].size, "%s", value);
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        if (!strcmp(key, numbers[i].key)) *numbers[i].to = atoi(value);
    if (!strcmp(key, "format")) read_format(c, value);
    if (!strcmp(key, "clock")) c->is_realtime = !strcmp(value, "realtime");
    if (!strcmp(key, "deny")) c->is_denied = 1;
}

Camera *read_camera(const char *path) {
    int file = real_open(path, O_RDONLY);
    if (file < 0) return NULL;
    Camera *c = calloc(1, sizeof *c);
    c->faults = (Faults){-1, -1, -1, -1, -1, -1};
    snprintf(c->path, sizeof c->path, "%s", path);
    snprintf(c->node, sizeof c->node, "capture");
    struct stat found;
    fstat(file, &found);
    c->inode = found.st_ino;
    c->held = file; /* kept: it locks the camera, and shows in /proc who has it */
    FILE *text = fdopen(dup(file), "r");
    char line[1024];
    while (fgets(line, sizeof line, text)) {
        line[strcspn(line, "\n")] = 0;
        char *value = strchr(line, ' ');
        if (value) *value++ = 0;
        read_line(c, line, value ? value : "");
    }
    fclose(text);
    return c;
}

static int by_name(const struct dirent **a, const struct dirent **b) { return alphasort(a, b); }

static void load_pictures(Camera *c) {
    struct dirent **names;
    int count = *c->pictures ? scandir(c->pictures, &names, NULL, by_name) : 0;
    for (int i = 0; i < count; i++) {
        char path[PATH_MAX + 256];
        snprintf(path, sizeof path, "%s/%s", c->pictures, names[i]->d_name);
        FILE *file = *names[i]->d_name == '.' ? NULL : fopen(path, "rb");
        free(names[i]);
        if (!file || c->photos == PICTURES) continue;
        Picture *picture = &c->photo[c->photos++];
        fseek(file, 0, SEEK_END);
        picture->size = ftell(file);
        rewind(file);
        picture->bytes = malloc(picture->size + 1);
        if (fread(picture->bytes, 1, picture->size, file) != picture->size) abort();
        fclose(file);
    }
    if (count > 0) free(names);
}

/* Opening and closing. */

void forget_camera(Camera *c) {
    real_close(c->held);
    for (int i = 0; i < c->photos; i++) free(c->photo[i].bytes);
    free(c);
}

int open_camera(const char *path, int flags) {
    Camera *c = read_camera(path);
    if (!c) return -1;
    int file = c->is_denied ? -1 : memfd_create("camera", flags & O_CLOEXEC ? MFD_CLOEXEC : 0);
    if (file < 0 || file >= FILES) {
        forget_camera(c);
        return fail(EACCES);
    }
    c->is_nonblocking = !!(flags & O_NONBLOCK);
    load_pictures(c);
    return cameras[file] = c, file;
}

void free_buffers(Camera *c) {
    if (c->memory) munmap(c->memory, c->buffers * (size_t)c->buffer[0].length);
    c->memory = NULL;
    c->buffers = c->n_queued = c->n_done = c->is_streaming = 0;
    flock(c->held, LOCK_UN);
}

void close_camera(int file) {
    Camera *c = cameras[file];
    free_buffers(c);
    forget_camera(c);
    cameras[file] = NULL;
}

int is_gone(Camera *c) {
    struct stat found;
    int code = REAL(stat, int, const char *, struct stat *)(c->path, &found);
    return c->is_gone |= code != 0 || found.st_ino != c->inode;
}

/* Frames. */

long long interval_ns(Camera *c) {
    return 1e9 / c->offered[c->format].size[c->size].fps[c->rate];
}

unsigned image_size(Camera *c) {
    Size *size = &c->offered[c->format].size[c->size];
    return size->width * size->height * 2;
}

/* YUYV without colour, its luma the number of the frame. */
static size_t draw(unsigned char *to, size_t size, unsigned frame) {
    for (size_t i = 0; i < size; i += 2) to[i] = 16 + 20 * (frame % 11), to[i + 1] = 128;
    return size;
}

static void fill(Camera *c, struct v4l2_buffer *buffer) {
    unsigned char *to = c->memory + buffer->m.offset;
    int number = c->frames, is_coded = c->offered[c->format].fourcc == V4L2_PIX_FMT_MJPEG;
    int is_copy = number == c->faults.duplicate, is_cut = number == c->faults.corrupt;
    int has_error = number == c->faults.error;
    unsigned shown = number - is_copy;
    if (is_coded && c->photos) {
        Picture *picture = &c->photo[shown % c->photos];
        size_t size = is_cut || has_error ? picture->size / 2 : picture->size;
        memcpy(to, picture->bytes, size);
        memset(to + size, 0, c->pad);
        buffer->bytesused = size + c->pad;
    } else
        buffer->bytesused = draw(to, buffer->length, shown);
    long long skew_ns = c->is_realtime ? now_ns(CLOCK_REALTIME) - now_ns(CLOCK_MONOTONIC) : 0;
    long long at_us = (c->due_ns + skew_ns) / 1000;
    buffer->timestamp = (struct timeval){at_us / 1000000, at_us % 1000000};
    buffer->sequence = c->sequence;
    if (is_copy) buffer->timestamp = c->last.timestamp, buffer->sequence = c->last.sequence;
    unsigned clock = c->is_realtime ? V4L2_BUF_FLAG_TIMESTAMP_UNKNOWN
                                    : V4L2_BUF_FLAG_TIMESTAMP_MONOTONIC;
    buffer->flags = V4L2_BUF_FLAG_MAPPED | V4L2_BUF_FLAG_DONE | clock
                    | (has_error ? V4L2_BUF_FLAG_ERROR : 0);
    c->last = *buffer;
}

/* Let the camera do what it did since it was last looked at. */
static void catch_up(Camera *c) {
    long long now = now_ns(CLOCK_MONOTONIC);
    while (c->is_streaming && !is_gone(c) && c->due_ns <= now) {
        int number = c->frames;
        if (number == c->faults.stall) return;
        if (number == c->faults.unplug) unlink(c->path);
        if (is_gone(c)) return;
        if (number == c->faults.gap) {
            c->faults.gap = -1;
            c->sequence += GAP;
            c->due_ns += GAP * interval_ns(c);
            continue;
        }
        if (c->n_queued) {
            unsigned index = c->queued[0];
            memmove(c->queued, c->queued + 1, --c->n_queued * sizeof *c->queued);
            fill(c, &c->buffer[index]);
            c->done[c->n_done++] = index;
        }
        c->frames++;
        c->sequence++;
        c->due_ns += interval_ns(c);
    }
}

int events_of(Camera *c) {
    catch_up(c);
    if (c->is_gone || !c->is_streaming) return POLLERR | (c->is_gone ? POLLHUP : 0);
    return c->n_done ? POLLIN | POLLRDNORM : 0;
}

int wait_for(Camera *c, long long limit_ns) {
    long long until = now_ns(CLOCK_MONOTONIC) + limit_ns;
    int events;
    while (!(events = events_of(c)) && (limit_ns < 0 || now_ns(CLOCK_MONOTONIC) < until))
        nanosleep(&(struct timespec){0, STEP_NS}, NULL);
    return events;
}

/* A stand-in for libcuda on the host's memory, for tests alone: the calls that edge makes, in
   stream order, and nothing is forgiven: a foreign address, a second free, a copy past an end.

   The one kernel it plays is tools/echo.ptx.

   Its environment is read at each call.
     RIG_MODE=lazy          a stream's work waits until somebody waits for it
     RIG_INTEGRATED=1       a GPU that shares the host's memory
     RIG_FAIL=NAME:N:CODE   the N-th call of NAME from rig_reset on answers CODE; after 700, which
                            loses a GPU, all calls do

   Its times count calls. They are no GPU's times. */
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { OK, INVALID_VALUE = 1, OUT_OF_MEMORY = 2, INVALID_CONTEXT = 201, INVALID_HANDLE = 400,
       NOT_FOUND = 500, NOT_READY = 600, ILLEGAL_ADDRESS = 700, UNKNOWN = 999 };
enum { DEPTH = 64, INTEGRATED = 18, DEVICEMAP = 2, SIZE = 1 << 10 };

typedef struct Op { void (*run)(void *); void *data, *to; const void *from; size_t size;
                    int is_echo; struct Event *event; struct Op *next; } Op;
typedef struct Stream { Op *first, *last; } Stream;
typedef struct Event { Stream *stream; double at_ms; int pending; } Event;
typedef struct { char *at; size_t size; unsigned flags; char kind; } Block;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static Block blocks[SIZE]; /* 'd' device, 'h' host, 'm' module, 's' stream, 'e' event, or free */
static Stream null_stream;
static int retained, calls_of_failing, lost;
static double clock_ms;
static int context; /* its address is the one primary context */
static __thread void *stack[DEPTH];
static __thread int depth;

static int failure(const char *name) {
    if (lost) return lost;
    const char *wish = getenv("RIG_FAIL");
    size_t length = wish ? strcspn(wish, ":") : 0;
    if (!length || strncmp(name, wish, length) || (name[length] && name[length] != '_')) return OK;
    int nth = 0, code = UNKNOWN;
    sscanf(wish + length, ":%d:%d", &nth, &code);
    int now = __atomic_add_fetch(&calls_of_failing, 1, __ATOMIC_SEQ_CST);
    int fails = now == nth || (now > nth && code == OUT_OF_MEMORY); /* pycuda tries again */
    if (fails && code == ILLEGAL_ADDRESS) lost = code;
    return fails ? code : OK;
}
#define MAY_FAIL do { int code = failure(__func__); if (code) return code; } while (0)
#define WANTS_CONTEXT MAY_FAIL; if (!depth || !retained) return INVALID_CONTEXT

static void *add(char kind, size_t size, unsigned flags) {
    void *at = NULL;
    pthread_mutex_lock(&lock);
    for (int i = 0; i < SIZE && !at; i++)
        if (!blocks[i].kind) blocks[i] = (Block){at = calloc(1, size), size, flags, kind};
    pthread_mutex_unlock(&lock);
    return at;
}

/* The block of this kind that holds `size` bytes from `at` on; '*' is any memory. */
static Block *find(char kind, const void *at, size_t size) {
    for (Block *b = blocks; b < blocks + SIZE; b++) {
        int fits = kind == '*' ? b->kind == 'd' || b->kind == 'h' : b->kind == kind;
        if (b->kind && fits && (char *)at >= b->at && (char *)at + size <= b->at + b->size) return b;
    }
    return NULL;
}

static int drop(char kind, void *at) {
    pthread_mutex_lock(&lock);
    Block *block = find(kind, at, 1);
    int found = block && block->at == at;
    if (found) { free(block->at); *block = (Block){0}; }
    pthread_mutex_unlock(&lock);
    return found ? OK : INVALID_VALUE;
}

/* The end of a context takes all that is on it along, and its error. */
static void forget(void) {
    lost = 0;
    for (Block *b = blocks; b < blocks + SIZE; b++)
        if (b->kind) { free(b->at); *b = (Block){0}; }
}

static void work(Op *op) {
    if (op->event) { op->event->at_ms = clock_ms += 1; op->event->pending--; }
    else if (op->run) op->run(op->data);
    else if (op->is_echo)
        for (size_t i = 0; i < op->size; i++) ((float *)op->to)[i] = ((uint8_t *)op->from)[i];
    else memcpy(op->to, op->from, op->size);
    free(op);
}

/* Do a stream's work, up to an event where one is given. */
static void drain(Stream *stream, Event *until) {
    while (!until || until->pending) {
        pthread_mutex_lock(&lock);
        Op *op = stream->first;
        if (op) stream->first = op->next;
        pthread_mutex_unlock(&lock);
        if (!op) return;
        work(op);
    }
}

static int queue(Stream *stream, Op wanted) {
    if (!stream) stream = &null_stream;
    else if (!find('s', stream, sizeof *stream)) return INVALID_HANDLE;
    Op *op = malloc(sizeof *op);
    *op = wanted;
    pthread_mutex_lock(&lock);
    if (stream->first) stream->last->next = op; else stream->first = op;
    stream->last = op;
    pthread_mutex_unlock(&lock);
    const char *mode = getenv("RIG_MODE");
    if (!mode || strcmp(mode, "lazy")) drain(stream, NULL);
    return OK;
}

int cuInit(unsigned flags) { MAY_FAIL; return flags ? INVALID_VALUE : OK; }
int cuDriverGetVersion(int *version) { MAY_FAIL; *version = 12060; return OK; }
int cuGetErrorString(int code, const char **text) {
    (void)code; *text = "the rig was told to fail"; return OK;
}
int cuDeviceGet(int *device, int ordinal) { MAY_FAIL; *device = 0; return ordinal ? 101 : OK; }
int cuDeviceGetName(char *name, int size, int device) {
    MAY_FAIL; snprintf(name, size, "stand-in"); return device;
}
int cuDeviceGetAttribute(int *value, int attribute, int device) {
    MAY_FAIL;
    const char *shared = getenv("RIG_INTEGRATED");
    *value = attribute == INTEGRATED && shared && *shared == '1';
    return device;
}
int cuDeviceComputeCapability(int *major, int *minor, int device) {
    MAY_FAIL; *major = 8; *minor = 7; return device;
}
int cuDevicePrimaryCtxRetain(void **out, int device) {
    MAY_FAIL; retained++; *out = &context; return device;
}
int cuDevicePrimaryCtxRelease_v2(int device) {
    if (!retained) return INVALID_CONTEXT;
    if (!--retained) forget();
    return device;
}
int cuCtxPushCurrent_v2(void *wanted) {
    if (!lost) MAY_FAIL; /* a lost GPU's context can still be pushed */
    if (depth == DEPTH || !retained) return INVALID_CONTEXT;
    stack[depth++] = wanted;
    return OK;
}
int cuCtxPopCurrent_v2(void **out) {
    if (!depth) return INVALID_CONTEXT;
    *out = stack[--depth];
    return OK;
}

int cuMemGetInfo_v2(size_t *left, size_t *total) {
    WANTS_CONTEXT;
    *left = *total = (size_t)1 << 30;
    for (Block *b = blocks; b < blocks + SIZE; b++)
        if (b->kind == 'd' || b->kind == 'h') *left -= b->size;
    return OK;
}
int cuMemAlloc_v2(uintptr_t *out, size_t size) {
    WANTS_CONTEXT; *out = (uintptr_t)add('d', size, 0); return *out ? OK : OUT_OF_MEMORY;
}
int cuMemFree_v2(uintptr_t at) { WANTS_CONTEXT; return drop('d', (void *)at); }
int cuMemHostAlloc(void **out, size_t size, unsigned flags) {
    WANTS_CONTEXT; *out = add('h', size, flags); return *out ? OK : OUT_OF_MEMORY;
}
int cuMemFreeHost(void *at) { WANTS_CONTEXT; return drop('h', at); }
int cuMemHostGetDevicePointer_v2(uintptr_t *out, void *at, unsigned flags) {
    WANTS_CONTEXT;
    Block *block = find('h', at, 1);
    *out = (uintptr_t)at;
    return flags || !block || !(block->flags & DEVICEMAP) ? INVALID_VALUE : OK;
}
int cuMemcpyHtoDAsync_v2(uintptr_t to, const void *from, size_t size, Stream *stream) {
    WANTS_CONTEXT;
    if (!find('d', (void *)to, size) || !find('h', from, size)) return INVALID_VALUE;
    return queue(stream, (Op){.to = (void *)to, .from = from, .size = size});
}
int cuMemcpyDtoHAsync_v2(void *to, uintptr_t from, size_t size, Stream *stream) {
    WANTS_CONTEXT;
    if (!find('h', to, size) || !find('d', (void *)from, size)) return INVALID_VALUE;
    return queue(stream, (Op){.to = to, .from = (void *)from, .size = size});
}

int cuStreamCreate(Stream **out, unsigned flags) {
    WANTS_CONTEXT;
    *out = add('s', sizeof **out, flags);
    return *out ? OK : OUT_OF_MEMORY;
}
int cuStreamSynchronize(Stream *stream) {
    WANTS_CONTEXT;
    if (!find('s', stream, sizeof *stream)) return INVALID_HANDLE;
    drain(stream, NULL);
    return OK;
}
int cuStreamDestroy_v2(Stream *stream) {
    WANTS_CONTEXT;
    if (!find('s', stream, sizeof *stream)) return INVALID_HANDLE;
    drain(stream, NULL);
    return drop('s', stream);
}
int cuLaunchHostFunc(Stream *stream, void (*run)(void *), void *data) {
    WANTS_CONTEXT; return queue(stream, (Op){.run = run, .data = data});
}

int cuModuleLoadData(char **out, const char *ptx) {
    WANTS_CONTEXT;
    *out = add('m', strlen(ptx) + 1, 0);
    if (!*out) return OUT_OF_MEMORY;
    strcpy(*out, ptx);
    return OK;
}
int cuModuleGetFunction(char **out, char *module, const char *name) {
    WANTS_CONTEXT;
    if (!find('m', module, 1)) return INVALID_HANDLE;
    char entry[64];
    snprintf(entry, sizeof entry, ".entry %s(", name);
    *out = strstr(module, entry);
    return *out ? OK : NOT_FOUND;
}
int cuModuleUnload(char *module) { WANTS_CONTEXT; return drop('m', module); }
int cuLaunchKernel(char *function, unsigned grid_x, unsigned grid_y, unsigned grid_z,
                   unsigned block_x, unsigned block_y, unsigned block_z, unsigned shared_bytes,
                   Stream *stream, void **given, void **more) {
    WANTS_CONTEXT;
    if (!find('m', function, 1)) return INVALID_HANDLE;
    uint8_t *pixels = *(uint8_t **)given[0]; /* parameters are read now, memory in its turn */
    float *scores = *(float **)given[1];
    uint32_t values = *(uint32_t *)given[2];
    size_t threads = (size_t)grid_x * block_x, size = threads < values ? threads : values;
    if (grid_y != 1 || grid_z != 1 || block_y != 1 || block_z != 1 || shared_bytes || more
        || !find('*', pixels, size) || !find('*', scores, size * sizeof *scores))
        return INVALID_VALUE;
    return queue(stream, (Op){.to = scores, .from = pixels, .size = size, .is_echo = 1});
}

int cuEventCreate(Event **out, unsigned flags) {
    WANTS_CONTEXT;
    *out = add('e', sizeof **out, flags);
    return *out ? OK : OUT_OF_MEMORY;
}
int cuEventDestroy_v2(Event *event) { WANTS_CONTEXT; return drop('e', event); }
int cuEventRecord(Event *event, Stream *stream) {
    WANTS_CONTEXT;
    if (!find('e', event, sizeof *event)) return INVALID_HANDLE;
    event->stream = stream ? stream : &null_stream;
    event->pending++;
    return queue(stream, (Op){.event = event});
}
int cuEventSynchronize(Event *event) {
    WANTS_CONTEXT;
    if (!find('e', event, sizeof *event)) return INVALID_HANDLE;
    if (event->stream) drain(event->stream, event);
    return OK;
}
int cuEventElapsedTime_v2(float *ms, Event *start, Event *end) {
    WANTS_CONTEXT;
    if (!start->stream || !end->stream) return INVALID_HANDLE;
    *ms = (float)(end->at_ms - start->at_ms);
    return start->pending || end->pending ? NOT_READY : OK;
}

/* For the tests: what is alive, whether memory may be touched, and a fresh start. */
void rig_live(int *memory, int *streams, int *events) {
    *memory = *streams = *events = 0;
    for (Block *b = blocks; b < blocks + SIZE; b++) {
        *memory += b->kind == 'd' || b->kind == 'h' || b->kind == 'm';
        *streams += b->kind == 's';
        *events += b->kind == 'e';
    }
}
int rig_holds(const void *at, size_t size) { return find('*', at, size) != NULL; }
void rig_count_anew(void) { calls_of_failing = 0; }
void rig_reset(void) { forget(); depth = calls_of_failing = retained = 0; }

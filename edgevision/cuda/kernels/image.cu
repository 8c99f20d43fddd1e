// What cv2.cuda lacks, does slowly, or does otherwise than cv2 does on the CPU. Compiled to image.ptx
// by `python -m tests.unit.cv.compile`. Every kernel runs in blocks of 32 by 8 threads.
//
// Rows are counted in elements: an image of C channels is C times as wide, and a step of one pixel to
// the side is a step of C elements.

struct Args {
    const void* src;
    void* dst;
    long long src_step;  // bytes
    long long dst_step;
    int width;  // of the result, in elements
    int height;
    int channels;
    int passes;
    int operations;  // bit 0 and bit 1: the first and second pass look for the largest
    int finish;      // 0: result; 1: source - result; 2: result - source; 3: largest - smallest
    int src_width;   // pixels
    int src_height;
    float scale_x;
    float scale_y;
};

#define POINTS 940

// A structuring element: where its points lie about the anchor, in pixels.
struct Element {
    short count;
    signed char left;  // the leftmost point, not above 0, and so on
    signed char right;
    signed char top;
    signed char bottom;
    signed char x[POINTS];
    signed char y[POINTS];
};

#define TILE_X 64
#define TILE_Y 16
#define THREADS_X 32
#define THREADS_Y 8

template <typename T> struct Range;
template <> struct Range<unsigned char> { static constexpr int low = 0, high = 255; };
template <> struct Range<unsigned short> { static constexpr int low = 0, high = 65535; };
template <> struct Range<short> { static constexpr int low = -32768, high = 32767; };
template <> struct Range<float> {
    static constexpr float low = -3.402823466e+38F, high = 3.402823466e+38F;
};

template <typename T> __device__ __forceinline__ T smaller(T a, T b) { return b < a ? b : a; }
template <typename T> __device__ __forceinline__ T larger(T a, T b) { return a < b ? b : a; }

template <typename T> __device__ __forceinline__ T difference(T a, T b) {
    int value = int(a) - int(b);
    return T(smaller(larger(value, int(Range<T>::low)), int(Range<T>::high)));
}
template <> __device__ __forceinline__ float difference(float a, float b) { return a - b; }

template <typename T> __device__ __forceinline__ T rounded(float value) {
    int whole = __float2int_rn(value);
    return T(smaller(larger(whole, int(Range<T>::low)), int(Range<T>::high)));
}
template <> __device__ __forceinline__ float rounded(float value) { return value; }

template <typename T>
__device__ __forceinline__ const T* row(const void* image, long long step, int y) {
    return reinterpret_cast<const T*>(static_cast<const char*>(image) + y * step);
}

template <typename T>
__device__ __forceinline__ T extreme(
    const T* at, int width, const Element& element, int channels, bool largest) {
    T found = largest ? T(Range<T>::low) : T(Range<T>::high);
    if (largest) {
        for (int i = 0; i < element.count; ++i) {
            found = larger(found, at[element.y[i] * width + element.x[i] * channels]);
        }
    } else {
        for (int i = 0; i < element.count; ++i) {
            found = smaller(found, at[element.y[i] * width + element.x[i] * channels]);
        }
    }
    return found;
}

// One or two passes over a tile in shared memory. What lies outside the image counts for neither
// pass, as in cv2.
template <typename T>
__device__ void morphology(const Args& args, const Element& first, const Element& second) {
    extern __shared__ __align__(16) unsigned char memory[];
    const Element& last = args.passes == 2 ? second : first;
    const int cn = args.channels;
    const int first_left = first.left * cn, last_left = last.left * cn;
    const int middle_width = TILE_X + (last.right - last.left) * cn;
    const int middle_height = TILE_Y + last.bottom - last.top;
    int width = middle_width, height = middle_height, left = last_left, top = last.top;
    if (args.passes == 2) {
        width += (first.right - first.left) * cn;
        height += first.bottom - first.top;
        left += first_left;
        top += first.top;
    }
    T* tile = reinterpret_cast<T*>(memory);
    T* middle = args.passes == 2 ? tile + width * height : tile;
    const int x0 = blockIdx.x * TILE_X, y0 = blockIdx.y * TILE_Y;
    const bool first_largest = args.operations & 1, second_largest = args.operations & 2;
    const bool last_largest = args.passes == 2 ? second_largest : first_largest;
    const T outside = first_largest ? T(Range<T>::low) : T(Range<T>::high);

    for (int y = threadIdx.y; y < height; y += THREADS_Y) {
        const int at_y = y0 + top + y;
        const bool inside = at_y >= 0 && at_y < args.height;
        const T* from = row<T>(args.src, args.src_step, inside ? at_y : 0);
        for (int x = threadIdx.x; x < width; x += THREADS_X) {
            const int at_x = x0 + left + x;
            tile[y * width + x] = inside && at_x >= 0 && at_x < args.width ? from[at_x] : outside;
        }
    }
    __syncthreads();
    if (args.passes == 2) {
        const T beyond = second_largest ? T(Range<T>::low) : T(Range<T>::high);
        for (int y = threadIdx.y; y < middle_height; y += THREADS_Y) {
            const int at_y = y0 + last.top + y;
            for (int x = threadIdx.x; x < middle_width; x += THREADS_X) {
                const int at_x = x0 + last_left + x;
                T value = beyond;
                if (at_y >= 0 && at_y < args.height && at_x >= 0 && at_x < args.width) {
                    const T* at = tile + (y - first.top) * width + x - first_left;
                    value = extreme(at, width, first, cn, first_largest);
                }
                middle[y * middle_width + x] = value;
            }
        }
        __syncthreads();
    }
    for (int y = threadIdx.y; y < TILE_Y; y += THREADS_Y) {
        const int at_y = y0 + y;
        if (at_y >= args.height) return;
        T* to = const_cast<T*>(row<T>(args.dst, args.dst_step, at_y));
        const T* from = row<T>(args.src, args.src_step, at_y);
        for (int x = threadIdx.x; x < TILE_X; x += THREADS_X) {
            const int at_x = x0 + x;
            if (at_x >= args.width) break;
            const T* at = middle + (y - last.top) * middle_width + x - last_left;
            T value;
            if (args.finish == 3) {
                T low = T(Range<T>::high), high = T(Range<T>::low);
                for (int i = 0; i < last.count; ++i) {
                    const int dx = last.x[i] * cn, dy = last.y[i];
                    if (at_x + dx < 0 || at_x + dx >= args.width) continue;
                    if (at_y + dy < 0 || at_y + dy >= args.height) continue;
                    const T seen = at[dy * middle_width + dx];
                    low = smaller(low, seen);
                    high = larger(high, seen);
                }
                value = difference(high, low);
            } else {
                value = extreme(at, middle_width, last, cn, last_largest);
                if (args.finish == 1) value = difference(from[at_x], value);
                if (args.finish == 2) value = difference(value, from[at_x]);
            }
            to[at_x] = value;
        }
    }
}

template <typename T> __device__ __forceinline__ void sort(T& a, T& b) {
    const T low = smaller(a, b);
    b = larger(a, b);
    a = low;
}

// Brings the smallest of N to the front and the largest to the end.
template <int N, typename T> __device__ __forceinline__ void ends(T* values) {
#pragma unroll
    for (int i = 0; i < N / 2; ++i) sort(values[i], values[N - 1 - i]);
#pragma unroll
    for (int i = 1; i < (N + 1) / 2; ++i) sort(values[0], values[i]);
#pragma unroll
    for (int i = N / 2; i < N - 1; ++i) sort(values[i], values[N - 1]);
}

// Keeps N candidates, drops the smallest and the largest of them, takes the next value in.
template <int N, typename T> struct Forgetful {
    static __device__ __forceinline__ void run(T* values, const T* next) {
        ends<N>(values);
        values[0] = *next;
        Forgetful<N - 1, T>::run(values, next + 1);
    }
};
template <typename T> struct Forgetful<3, T> {
    static __device__ __forceinline__ void run(T* values, const T*) { ends<3>(values); }
};

// The median of a square; the border is repeated, as in cv2.medianBlur.
template <typename T, int SIDE> __device__ __forceinline__ void small_median(const Args& args) {
    constexpr int COUNT = SIDE * SIDE, KEPT = COUNT / 2 + 2;
    const int x = blockIdx.x * THREADS_X + threadIdx.x, y = blockIdx.y * THREADS_Y + threadIdx.y;
    if (x >= args.width || y >= args.height) return;
    const int pixel = x / args.channels, channel = x - pixel * args.channels;
    T values[COUNT];
#pragma unroll
    for (int j = 0; j < SIDE; ++j) {
        const int at_y = smaller(larger(y + j - SIDE / 2, 0), args.height - 1);
        const T* from = row<T>(args.src, args.src_step, at_y);
#pragma unroll
        for (int i = 0; i < SIDE; ++i) {
            const int at_x = smaller(larger(pixel + i - SIDE / 2, 0), args.src_width - 1);
            values[j * SIDE + i] = from[at_x * args.channels + channel];
        }
    }
    Forgetful<KEPT, T>::run(values, values + KEPT);
    const_cast<T*>(row<T>(args.dst, args.dst_step, y))[x] = values[1];
}

// The same for a square of any odd side (in `passes`), by its bits from the highest down.
__device__ __forceinline__ void large_median(const Args& args) {
    extern __shared__ __align__(16) unsigned char memory[];
    const int radius = args.passes / 2, cn = args.channels;
    const int width = THREADS_X + 2 * radius * cn, height = THREADS_Y + 2 * radius;
    const int x0 = blockIdx.x * THREADS_X, y0 = blockIdx.y * THREADS_Y;
    for (int y = threadIdx.y; y < height; y += THREADS_Y) {
        const int at_y = smaller(larger(y0 + y - radius, 0), args.height - 1);
        const unsigned char* from = row<unsigned char>(args.src, args.src_step, at_y);
        for (int x = threadIdx.x; x < width; x += THREADS_X) {
            // Beyond the border: the pixel at it, in the same channel.
            int at_x = x0 + x - radius * cn;
            const int channel = ((at_x % cn) + cn) % cn;
            if (at_x < 0) at_x = channel;
            if (at_x >= args.width) at_x = args.width - cn + channel;
            memory[y * width + x] = from[at_x];
        }
    }
    __syncthreads();
    const int x = x0 + threadIdx.x, y = y0 + threadIdx.y;
    if (x >= args.width || y >= args.height) return;
    const unsigned char* at = memory + threadIdx.y * width + threadIdx.x;
    const int half = args.passes * args.passes / 2;
    int found = 0;
    for (int bit = 128; bit; bit >>= 1) {
        const int candidate = found | bit;
        int below = 0;
        for (int j = 0; j < args.passes; ++j) {
            for (int i = 0; i < args.passes; ++i) below += at[j * width + i * cn] < candidate;
        }
        if (below <= half) found = candidate;
    }
    const_cast<unsigned char*>(row<unsigned char>(args.dst, args.dst_step, y))[x] =
        (unsigned char)found;
}

// Bicubic interpolation with the factor -0.75 and pixel centres of cv2.resize.
__device__ __forceinline__ void cubic(float x, float* weights) {
    const float a = -0.75f;
    weights[0] = ((a * (x + 1) - 5 * a) * (x + 1) + 8 * a) * (x + 1) - 4 * a;
    weights[1] = ((a + 2) * x - (a + 3)) * x * x + 1;
    weights[2] = ((a + 2) * (1 - x) - (a + 3)) * (1 - x) * (1 - x) + 1;
    weights[3] = 1.f - weights[0] - weights[1] - weights[2];
}

template <typename T> __device__ __forceinline__ void resize_cubic(const Args& args) {
    const int x = blockIdx.x * THREADS_X + threadIdx.x, y = blockIdx.y * THREADS_Y + threadIdx.y;
    if (x >= args.width || y >= args.height) return;
    const int pixel = x / args.channels, channel = x - pixel * args.channels;
    const float from_x = (pixel + 0.5f) * args.scale_x - 0.5f;
    const float from_y = (y + 0.5f) * args.scale_y - 0.5f;
    const int left = (int)floorf(from_x), top = (int)floorf(from_y);
    float across[4], down[4];
    cubic(from_x - left, across);
    cubic(from_y - top, down);
    float sum = 0.f;
#pragma unroll
    for (int j = 0; j < 4; ++j) {
        const int at_y = smaller(larger(top + j - 1, 0), args.src_height - 1);
        const T* from = row<T>(args.src, args.src_step, at_y);
        float line = 0.f;
#pragma unroll
        for (int i = 0; i < 4; ++i) {
            const int at_x = smaller(larger(left + i - 1, 0), args.src_width - 1);
            line += across[i] * float(from[at_x * args.channels + channel]);
        }
        sum += down[j] * line;
    }
    const_cast<T*>(row<T>(args.dst, args.dst_step, y))[x] = rounded<T>(sum);
}

#define FOR_TYPE(SUFFIX, T)                                                                        \
    extern "C" __global__ void morphology_##SUFFIX(Args args, Element first, Element second) {     \
        morphology<T>(args, first, second);                                                        \
    }                                                                                              \
    extern "C" __global__ void median3_##SUFFIX(Args args) { small_median<T, 3>(args); }           \
    extern "C" __global__ void median5_##SUFFIX(Args args) { small_median<T, 5>(args); }           \
    extern "C" __global__ void resize_cubic_##SUFFIX(Args args) { resize_cubic<T>(args); }

FOR_TYPE(8U, unsigned char)
FOR_TYPE(16U, unsigned short)
FOR_TYPE(16S, short)
FOR_TYPE(32F, float)

extern "C" __global__ void median_8U(Args args) { large_median(args); }

// Mirrors and turns pixels of any size (in bytes, `channels`). Bits of `operations`: 0 swaps the axes,
// 1 reads the source's columns backwards, 2 its rows.
extern "C" __global__ void turn(Args args) {
    const int x = blockIdx.x * THREADS_X + threadIdx.x, y = blockIdx.y * THREADS_Y + threadIdx.y;
    if (x >= args.width || y >= args.height) return;
    const int pixel = x / args.channels, place = x - pixel * args.channels;
    int column = args.operations & 1 ? y : pixel, line = args.operations & 1 ? pixel : y;
    if (args.operations & 2) column = args.src_width - 1 - column;
    if (args.operations & 4) line = args.src_height - 1 - line;
    const unsigned char* from = row<unsigned char>(args.src, args.src_step, line);
    const_cast<unsigned char*>(row<unsigned char>(args.dst, args.dst_step, y))[x] =
        from[column * args.channels + place];
}

// Sobel's kernels of 3, 5 and 7, as cv2.getDerivKernels gives them.
__constant__ int SMOOTH[3][7] = {{1, 2, 1}, {1, 4, 6, 4, 1}, {1, 6, 15, 20, 15, 6, 1}};
__constant__ int SLOPE[3][7] = {{-1, 0, 1}, {-1, -2, 0, 2, 1}, {-1, -4, -5, 0, 5, 4, 1}};

// Both derivatives in whole numbers, by kernels of `passes`; the border is repeated. That down the
// image is written `finish` rows below the other.
extern "C" __global__ void gradients_8U(Args args) {
    const int x = blockIdx.x * THREADS_X + threadIdx.x, y = blockIdx.y * THREADS_Y + threadIdx.y;
    if (x >= args.width || y >= args.height) return;
    const int radius = args.passes / 2;
    const int *smooth = SMOOTH[radius - 1], *slope = SLOPE[radius - 1];
    int across = 0, down = 0;
    for (int j = 0; j < args.passes; ++j) {
        const int at_y = smaller(larger(y + j - radius, 0), args.height - 1);
        const unsigned char* from = row<unsigned char>(args.src, args.src_step, at_y);
        for (int i = 0; i < args.passes; ++i) {
            const int value = from[smaller(larger(x + i - radius, 0), args.width - 1)];
            across += value * smooth[j] * slope[i];
            down += value * slope[j] * smooth[i];
        }
    }
    const_cast<int*>(row<int>(args.dst, args.dst_step, y))[x] = across;
    const_cast<int*>(row<int>(args.dst, args.dst_step, y + args.finish))[x] = down;
}

// Gives each label in use (they are scattered) a number from 1 on; the table's element 0 counts them.
extern "C" __global__ void number_labels(Args args) {
    const int x = blockIdx.x * THREADS_X + threadIdx.x, y = blockIdx.y * THREADS_Y + threadIdx.y;
    if (x >= args.width || y >= args.height) return;
    const int label = row<int>(args.src, args.src_step, y)[x];
    int* table = static_cast<int*>(args.dst);
    if (label <= 0 || label >= args.src_width || table[label]) return;
    if (atomicCAS(table + label, 0, -1) == 0) table[label] = atomicAdd(table, 1) + 1;
}

// Replaces the labels by their numbers. The labels are the destination, the table the source.
extern "C" __global__ void rename_labels(Args args) {
    const int x = blockIdx.x * THREADS_X + threadIdx.x, y = blockIdx.y * THREADS_Y + threadIdx.y;
    if (x >= args.width || y >= args.height) return;
    int* label = const_cast<int*>(row<int>(args.dst, args.dst_step, y)) + x;
    if (*label > 0 && *label < args.src_width) *label = static_cast<const int*>(args.src)[*label];
}

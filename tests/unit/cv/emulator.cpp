// Runs the kernels of image.cu on the CPU, a block of threads after the other, so that what they
// compute can be compared with cv2 where there is no device.

#include <barrier>
#include <cmath>
#include <thread>
#include <vector>

#define __device__
#define __global__
#define __constant__
#define __shared__
#define __forceinline__ inline
#define __align__(n)

struct Place {
    int x, y;
};
static thread_local Place threadIdx, blockIdx;
static std::barrier<>* gate;
unsigned char memory[48 * 1024];

static void __syncthreads() { gate->arrive_and_wait(); }
static int __float2int_rn(float value) { return (int)std::nearbyint(value); }
static int atomicAdd(int* place, int value) {
    return __atomic_fetch_add(place, value, __ATOMIC_SEQ_CST);
}
static int atomicCAS(int* place, int old, int value) {
    __atomic_compare_exchange_n(place, &old, value, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
    return old;
}

#include "image.cu"

template <typename Kernel> void run(int columns, int rows, Kernel kernel) {
    constexpr int COUNT = THREADS_X * THREADS_Y;
    for (int y = 0; y < rows; ++y) {
        for (int x = 0; x < columns; ++x) {
            // A thread that returns early waits for the others no more.
            std::barrier<> block(COUNT);
            gate = &block;
            std::vector<std::thread> threads;
            for (int i = 0; i < COUNT; ++i) {
                threads.emplace_back([&, i] {
                    threadIdx = {i % THREADS_X, i / THREADS_X};
                    blockIdx = {x, y};
                    kernel();
                    block.arrive_and_drop();
                });
            }
            for (auto& thread : threads) thread.join();
        }
    }
}

#define ONE(NAME)                                                              \
    extern "C" void run_##NAME(int columns, int rows, void** given) {          \
        run(columns, rows, [&] { NAME(*static_cast<Args*>(given[0])); });      \
    }
#define THREE(NAME)                                                            \
    extern "C" void run_##NAME(int columns, int rows, void** given) {          \
        run(columns, rows, [&] {                                               \
            NAME(*static_cast<Args*>(given[0]), *static_cast<Element*>(given[1]), \
                 *static_cast<Element*>(given[2]));                            \
        });                                                                    \
    }
#define EACH(SUFFIX)                                                           \
    THREE(morphology_##SUFFIX)                                                 \
    ONE(median3_##SUFFIX) ONE(median5_##SUFFIX) ONE(resize_cubic_##SUFFIX)

EACH(8U)
EACH(16U)
EACH(16S)
EACH(32F)
ONE(median_8U)
ONE(turn)
ONE(gradients_8U)
ONE(number_labels)
ONE(rename_labels)

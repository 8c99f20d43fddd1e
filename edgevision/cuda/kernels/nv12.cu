// NV12 to BGR: what a hardware decoder gives to what everything else takes. Compiled to nv12.ptx by
// `python -m tests.unit.cuda.compile_nv12`. A thread makes two by two pixels, which share their
// colour; a block has 32 by 8 threads.

struct Nv12 {
    const unsigned char* luma;
    const unsigned char* chroma;  // U and V by turns
    unsigned char* bgr;
    long long luma_step;  // bytes
    long long chroma_step;
    long long bgr_step;
    int width;  // pixels, of the result
    int height;
    float scale;  // of the luma, after the offset is taken away
    float offset;
    float red_v;
    float green_u;
    float green_v;
    float blue_u;
};

__device__ __forceinline__ unsigned char byte_of(float value) {
    int whole = __float2int_rn(value);
    return (unsigned char)(whole < 0 ? 0 : whole > 255 ? 255 : whole);
}

extern "C" __global__ void nv12_to_bgr(Nv12 a) {
    int x = 2 * (blockIdx.x * blockDim.x + threadIdx.x);
    int y = 2 * (blockIdx.y * blockDim.y + threadIdx.y);
    if (x >= a.width || y >= a.height) return;
    const unsigned char* uv = a.chroma + (y / 2) * a.chroma_step + x;
    float u = float(uv[0]) - 128.0f, v = float(uv[1]) - 128.0f;
    float red = a.red_v * v, green = a.green_u * u + a.green_v * v, blue = a.blue_u * u;
    for (int row = y; row < y + 2 && row < a.height; ++row) {
        const unsigned char* luma = a.luma + row * a.luma_step;
        unsigned char* out = a.bgr + row * a.bgr_step;
        for (int column = x; column < x + 2 && column < a.width; ++column) {
            float bright = (float(luma[column]) - a.offset) * a.scale;
            out[3 * column] = byte_of(bright + blue);
            out[3 * column + 1] = byte_of(bright + green);
            out[3 * column + 2] = byte_of(bright + red);
        }
    }
}

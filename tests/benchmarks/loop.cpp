// Trains many small networks by gradient descent, with nothing in it but this one case: a bound on
// what growlib.fit("bessel-j0"), whose networks these are, could reach. bench.py compiles it.
//
//     loop FILE NETWORKS EPOCHS THREADS
//
// FILE holds float32 arrays (rows, NETWORKS): theta, as growlib.unpack takes it apart, then x and
// y of the training points. The trained theta is written over the first one, and the rate, in
// trial-steps a second, to standard output. NETWORKS is a multiple of 16.

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <thread>
#include <vector>

constexpr int WIDTH = 9, POINTS = 32, LANES = 16;
constexpr float LR = 1e-3f, COUPLING = 0.1f, TARGET = 5, PI = 3.14159265f;

typedef float Lanes __attribute__((vector_size(4 * LANES)));  // one number of 16 networks

struct Theta { Lanes size, b[WIDTH], u[WIDTH], w[WIDTH], c, v[WIDTH]; };
struct Block { Theta theta; Lanes x[POINTS], y[POINTS]; };

inline Lanes within(Lanes z, float low, float high) {
    z = z < low ? Lanes{} + low : z;
    return z > high ? Lanes{} + high : z;
}

// Lambert's continued fraction z/(1 + z²/(3 + z²/(5 + ...))), ten levels deep; off by 4e-6 at most.
inline Lanes tanh(Lanes z) {
    z = within(z, -7, 7);
    Lanes t = z * z;
    Lanes above = (((55 * t + 25740) * t + 2837835) * t + 91891800) * t + 654729075.f;
    Lanes below = ((((t + 1485) * t + 315315) * t + 18918900) * t + 310134825.f) * t + 654729075.f;
    return z * above / below;
}

// sin(πr/2) for r from 0 to 1.
inline Lanes sine(Lanes r) {
    Lanes x = PI / 2 * r;
    Lanes t = x * x;
    return x * (1 - t / 6 * (1 - t / 20 * (1 - t / 42 * (1 - t / 72 * (1 - t / 110)))));
}

// One epoch of 16 networks. The first OPEN neurons are computed; the others are shut.
template <int OPEN> void step(Block& block) {
    Theta& n = block.theta;
    Lanes gate[OPEN], slope[OPEN], base[OPEN], db[OPEN]{}, dw[OPEN]{}, dv[OPEN]{}, dc{};
    for (int m = 0; m < OPEN; m++) {
        Lanes r = within(n.size - float(m), 0, 1), rising = sine(r);
        gate[m] = rising * rising;
        slope[m] = PI * rising * sine(1 - r);
        base[m] = n.b[m] + n.u[m] * n.size;
    }
    for (int p = 0; p < POINTS; p++) {
        Lanes a[OPEN], y_hat = n.c;
        for (int m = 0; m < OPEN; m++) {
            a[m] = tanh(base[m] + n.w[m] * block.x[p]);
            y_hat += n.v[m] * gate[m] * a[m];
        }
        Lanes dy = 2.f / POINTS * (y_hat - block.y[p]);
        dc += dy;
        for (int m = 0; m < OPEN; m++) {
            Lanes dz = dy * n.v[m] * gate[m] * (1 - a[m] * a[m]);
            db[m] += dz;
            dw[m] += dz * block.x[p];
            dv[m] += dy * a[m];
        }
    }
    Lanes dsize = 2 * COUPLING * (n.size - TARGET);
    for (int m = 0; m < OPEN; m++) {
        dsize += slope[m] * n.v[m] * dv[m] + n.u[m] * db[m];
        n.b[m] -= LR * db[m];
        n.u[m] -= LR * n.size * db[m];
        n.w[m] -= LR * dw[m];
        n.v[m] -= LR * gate[m] * dv[m];
    }
    n.c -= LR * dc;
    n.size -= LR * dsize;
}

void train(Block& block, int epochs) {
    constexpr void (*steps[])(Block&) = {step<1>, step<2>, step<3>, step<4>, step<5>,
                                         step<6>, step<7>, step<8>, step<9>};
    for (int epoch = 0; epoch < epochs; epoch++) {
        float largest = 0;
        for (int j = 0; j < LANES; j++) largest = std::max(largest, block.theta.size[j]);
        steps[std::min(int(largest), WIDTH - 1)](block);
    }
}

int main(int, char** arguments) {
    const int networks = atoi(arguments[2]), epochs = atoi(arguments[3]);
    const int threads = atoi(arguments[4]), count = networks / LANES;
    const int rows = sizeof(Block) / sizeof(Lanes);
    std::vector<Lanes> file(rows * count);
    std::vector<Block> blocks(count);

    FILE* stream = fopen(arguments[1], "r+b");
    if (!stream || fread(file.data(), sizeof(Lanes), file.size(), stream) != file.size()) return 1;
    for (int k = 0; k < rows * count; k++) ((Lanes*)&blocks[k % count])[k / count] = file[k];

    auto began = std::chrono::steady_clock::now();
    std::vector<std::thread> team;
    for (int first = 0; first < threads; first++)
        team.emplace_back([=, &blocks] {
            for (int k = first; k < count; k += threads) train(blocks[k], epochs);
        });
    for (auto& thread : team) thread.join();
    std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - began;

    for (int k = 0; k < rows * count; k++) file[k] = ((Lanes*)&blocks[k % count])[k / count];
    rewind(stream);
    fwrite(file.data(), sizeof(Lanes), sizeof(Theta) / sizeof(Lanes) * count, stream);
    fclose(stream);
    printf("%g\n", double(networks) * epochs / seconds.count());
}

"""12. Random numbers are functions of keys: the same key gives the same numbers, every time."""

import numpy as np

import graphwright as gw

random = gw.random

# A key is made of a seed. It is used once; `split` makes more of it, and so does `fold_in`.
noise_key, coin_key = random.split(random.key(0))
noise = random.normal(noise_key, (1000,))
coins = random.bernoulli(coin_key, (1000,), 0.25)
both = gw.compile([], (noise, coins))
first, second = both(), both()
print(f"mean {first[0].mean():+.3f}, deviation {first[0].std():.3f}, {first[1].sum()} heads")
assert np.array_equal(first[0], second[0]) and np.array_equal(first[1], second[1])
assert abs(first[0].mean()) < 0.1 and abs(first[1].mean() - 0.25) < 0.05

# What is computed around them changes nothing: fused, reordered or alone, the bits are the same.
alone = gw.compile([], noise)()
scaled = gw.compile([], (noise * 2 + 1, gw.ops.exp(noise)))()
assert np.array_equal(alone, first[0])
assert np.array_equal(scaled[0], alone * 2 + 1)

# A key is a tensor. As an input, it lets one compiled function draw anew in each call.
key = gw.input("key", (2,), gw.uint64)
dice = gw.compile(key, random.randint(key, (5,), 1, 7))
throws = [dice(np.array([seed, 0], np.uint64)) for seed in range(3)]
print("throws:", [throw.tolist() for throw in throws])
assert not np.array_equal(throws[0], throws[1])

# In a loop, fold the number of the step in: here, random walks, one for each of many keys.
steps = gw.ops.arange(100)


def walk(key):
    def step(position, i):
        jump = random.normal(random.fold_in(key, i))
        return position + jump, position + jump

    return gw.scan(step, gw.constant(np.float32(0)), steps)[1]


walks = gw.compile([], gw.vmap(walk)(random.split(random.key(7), 200)))()
assert walks.shape == (200, 100)
spread = walks[:, -1].std()
print(f"after 100 steps the walks are spread by {spread:.1f}, about √100")
assert 8 < spread < 12

# Gradients flow through what the numbers are moved and scaled by, as if the noise were data.
scale = gw.input("scale", (), gw.float32)
loss = gw.ops.square(scale * noise).mean()
slope = gw.compile(scale, gw.grad(loss, scale))(3.0)
assert np.isclose(slope, 6 * np.mean(alone**2), rtol=1e-5)

# Without a seed, `key()` takes the next key of the process, which `seed` sets.
random.seed(1)
one, other = random.uniform(random.key()), random.uniform(random.key())
random.seed(1)
again = random.uniform(random.key())
values = gw.compile([], (one, other, again))()
assert values[0] == values[2] != values[1]

"""Kernels of the search: distances of 512 items at a time from bit planes, and the nearest items kept.

A tile is 512 items: for every bit of the code one vector of eight 64-bit words, its plane. Numbers stand upright:
level l of ``counters`` holds bit l of the numbers of all 512 items. The planes of the chosen bits are added to them by
full adders, 16 or 8 planes a step. Numba would not make vectors of such loops, so they are written as LLVM
instructions. They run on every processor; with AVX-512 an adder of 512 items takes two instructions.

The numbers start so that their sign says which items are near enough to be kept. So only near items are looked at one
by one. T tiles, P planes a tile, Q queries.
"""

from __future__ import annotations

import numpy as np
from llvmlite import ir
from numba.core import cgutils, types
from numba.core.codegen import get_host_cpu_features
from numba.extending import intrinsic

from ibc.compiled import compiled, numba_config

LANES = 8  # 64-bit words of a vector
MANY, FEW = 16, 8  # planes that are added in a step
WORD = ir.IntType(64)
VECTOR = ir.VectorType(WORD, LANES)
XOR_OF_THREE, MAJORITY = 0x96, 0xE8  # truth tables of a full adder
wanted_features = numba_config.CPU_FEATURES  # of NUMBA_CPU_FEATURES, else None
TERNARY_LOGIC = "+avx512f" in (get_host_cpu_features() if wanted_features is None else wanted_features).split(",")


def _vector_at(builder, array, row):
    """Pointer to the vector that is row ``row`` of an array (..., 8) of words in one piece."""
    pointer = builder.gep(array.data, [builder.mul(row, ir.Constant(row.type, LANES))])
    return builder.bitcast(pointer, VECTOR.as_pointer())


def _load(builder, pointer):
    return builder.load(pointer, align=8)


def _store(builder, value, pointer):
    builder.store(value, pointer, align=8)


def _fetch_ahead(builder, pointer):
    """Begin to read what will be needed for the next tile: with few planes, waiting takes longer than adding."""
    byte, number = ir.IntType(8).as_pointer(), ir.IntType(32)
    kind = ir.FunctionType(ir.VoidType(), [byte, number, number, number])
    function = builder.module.declare_intrinsic("llvm.prefetch", [byte], kind)
    builder.call(function, [builder.bitcast(pointer, byte), number(0), number(3), number(1)])  # to read, keep, data


def _full_adder(builder, a, b, c):
    """(sum, carry) of three bits in every place."""
    if TERNARY_LOGIC:
        kind = ir.FunctionType(VECTOR, [VECTOR, VECTOR, VECTOR, ir.IntType(32)])
        function = cgutils.get_or_insert_function(builder.module, kind, "llvm.x86.avx512.pternlog.q.512")
        return tuple(builder.call(function, [a, b, c, ir.Constant(ir.IntType(32), table)])
                     for table in (XOR_OF_THREE, MAJORITY))
    unequal = builder.xor(a, b)
    return builder.xor(unequal, c), builder.or_(builder.and_(a, b), builder.and_(unequal, c))


def _adder(size):
    """An intrinsic that adds groups of ``size`` planes (a power of 2) to the counters."""
    low = size.bit_length() - 1  # levels that stay in registers

    def add_planes(_context, tiles, tile, words, start, groups, counters, base, levels):
        """Add the planes at words[start], ... of a tile, ``groups`` x ``size`` of them, times 2^base, to the counters.

        tiles: (T, P, 8) uint64. words: int32, the first word of each plane in a tile. counters: (levels or more,
        8) uint64.
        """
        number = types.intp
        signature = types.void(tiles, number, words, number, number, counters, number, number)

        def generate(context, builder, signature, arguments):
            kinds = signature.args
            tiles, words, counters = (context.make_array(kinds[at])(context, builder, arguments[at])
                                       for at in (0, 2, 5))
            tile, start, groups, base, levels = (arguments[at] for at in (1, 3, 4, 6, 7))
            tile_words = builder.mul(cgutils.unpack_tuple(builder, tiles.shape)[1], ir.Constant(tile.type, LANES))
            first = builder.gep(tiles.data, [builder.mul(tile, tile_words)])
            inside = [builder.add(base, ir.Constant(base.type, level)) for level in range(low)]
            registers = [cgutils.alloca_once(builder, VECTOR) for _ in range(low)]
            carried = cgutils.alloca_once(builder, VECTOR)
            for register, level in zip(registers, inside, strict=True):
                builder.store(_load(builder, _vector_at(builder, counters, level)), register)
            with cgutils.for_range(builder, groups) as loop:
                place = builder.add(start, builder.mul(loop.index, ir.Constant(loop.index.type, size)))
                inputs = []
                for step in range(size):
                    where = builder.gep(words.data, [builder.add(place, ir.Constant(place.type, step))])
                    word = builder.sext(builder.load(where), WORD)
                    plane = builder.bitcast(builder.gep(first, [word]), VECTOR.as_pointer())
                    inputs.append(_load(builder, plane))
                    if size == FEW:
                        _fetch_ahead(builder, builder.gep(first, [builder.add(word, tile_words)]))
                for register in registers:  # level by level: pairs of planes become planes of the next level
                    total = builder.load(register)
                    carries = []
                    for step in range(0, len(inputs), 2):
                        total, carry = _full_adder(builder, total, inputs[step], inputs[step + 1])
                        carries.append(carry)
                    builder.store(total, register)
                    inputs = carries
                builder.store(inputs[0], carried)
                upper = builder.add(base, ir.Constant(base.type, low))
                with cgutils.for_range_slice(builder, upper, levels, ir.Constant(base.type, 1)) as (level, _):
                    pointer = _vector_at(builder, counters, level)
                    before, carry = _load(builder, pointer), builder.load(carried)
                    _store(builder, builder.xor(before, carry), pointer)
                    builder.store(builder.and_(before, carry), carried)
            for register, level in zip(registers, inside, strict=True):
                _store(builder, builder.load(register), _vector_at(builder, counters, level))
            return context.get_dummy_value()

        return signature, generate

    return intrinsic(add_planes)


add_sixteens = _adder(MANY)
add_eights = _adder(FEW)


@intrinsic
def fill(_context, counters, levels, value):
    """Set the numbers of all items to ``value``, in two's complement of ``levels`` bits."""

    def generate(context, builder, signature, arguments):
        counters = context.make_array(signature.args[0])(context, builder, arguments[0])
        _, levels, value = arguments
        with cgutils.for_range(builder, levels) as loop:
            bit = builder.and_(builder.ashr(value, loop.index), ir.Constant(WORD, 1))
            one = builder.insert_element(ir.Constant(VECTOR, ir.Undefined), builder.neg(bit), ir.IntType(32)(0))
            every = builder.shuffle_vector(one, ir.Constant(VECTOR, ir.Undefined),
                                           ir.Constant(ir.VectorType(ir.IntType(32), LANES), [0] * LANES))
            _store(builder, every, _vector_at(builder, counters, loop.index))
        return context.get_dummy_value()

    return types.void(counters, types.intp, types.int64), generate


@intrinsic
def complement(_context, counters, levels):
    """-number - 1 for the numbers of all items."""

    def generate(context, builder, signature, arguments):
        counters = context.make_array(signature.args[0])(context, builder, arguments[0])
        with cgutils.for_range(builder, arguments[1]) as loop:
            pointer = _vector_at(builder, counters, loop.index)
            _store(builder, builder.not_(_load(builder, pointer)), pointer)
        return context.get_dummy_value()

    return types.void(counters, types.intp), generate

ADD_SIXTEENS, ADD_EIGHTS, COMPLEMENT = 0, 1, 2  # steps of a program, see ``programs``
TILE_ITEMS = 64 * LANES


@intrinsic
def _trailing_zeros(_context, value):
    """Number of zero bits below the lowest set bit of an unsigned integer that is not 0."""
    return value(value), lambda _c, builder, _signature, args: builder.cttz(args[0], ir.Constant(ir.IntType(1), 1))


@compiled
def _run_program(tiles, tile, words, steps, query, step_count, start, levels, counters):
    """Counters of a tile after the steps of one query, see ``programs``. True where some item is near enough.

    No array is sliced here: numba would count references, which takes as long as the work.
    start: what the numbers begin with. An item with distance d < limit ends with limit - 1 - d, others below 0.
    """
    fill(counters, levels, start)
    for step in range(step_count):
        kind, base, groups = steps[query, step, 0], steps[query, step, 1], steps[query, step, 3]
        place = query * words.shape[1] + steps[query, step, 2]
        if kind == ADD_SIXTEENS:
            add_sixteens(tiles, tile, words, place, groups, counters, base, levels)
        elif kind == ADD_EIGHTS:
            add_eights(tiles, tile, words, place, groups, counters, base, levels)
        else:
            complement(counters, levels)
    near = np.uint64(0)
    for lane in range(LANES):
        near |= ~counters[levels - 1, lane]
    return near != 0


@compiled
def _number(counters, levels, lane, place):
    """The number of one item, which is not below 0."""
    value = 0
    for level in range(levels - 1):
        value |= np.int64((counters[level, lane] >> np.uint64(place)) & np.uint64(1)) << level
    return value


@compiled
def _keep_smallest(rows, values, used, top, smallest):
    """Keep the ``top`` smallest of values[:used] and their rows, in their order; of equal values the first.

    smallest: the value of rank ``top``. Returns how many are kept.
    """
    equal = top
    for place in range(used):
        equal -= values[place] < smallest
    kept = 0
    for place in range(used):
        value = values[place]
        if value < smallest or (value == smallest and equal > 0):
            equal -= value == smallest
            rows[kept], values[kept] = rows[place], value
            kept += 1
    return kept


@compiled
def _value_of_rank(values, used, rank, histogram):
    """The value of a rank (from 1) among whole numbers values[:used] from 0, by counting."""
    histogram[:] = 0
    for place in range(used):
        histogram[values[place]] += 1
    value = 0
    before = histogram[0]
    while before < rank:
        value += 1
        before += histogram[value]
    return value


@compiled
def scan_counts(tiles, items, first_row, words, steps, step_counts, constants, levels, top, limits, rows, values, used,
                counters, histogram):
    """Collect the ``top`` nearest items of Q queries without weights from T tiles, with candidates that fall out later.

    tiles: (T, P, 8) uint64, ``items`` of them count, the first is row ``first_row``. words, steps, step_counts,
    constants, levels: the programs of the queries, see ``programs``. limits: (Q,) int64, only distances below it are
    collected; gets smaller. rows, values: (Q, C) int64, int32, candidates and their distances in the order of the
    database, C > top; used: (Q,) int64, how many there are. counters, histogram: memory to work in.
    """
    room = rows.shape[1]
    for tile in range(tiles.shape[0]):
        valid = min(items - tile * TILE_ITEMS, TILE_ITEMS)
        for i in range(len(limits)):
            if not _run_program(tiles, tile, words, steps, i, step_counts[i],
                                constants[i] - limits[i], levels[i], counters):
                continue
            start_limit = limits[i]  # the counters are relative to it
            for lane in range(LANES):
                near = ~counters[levels[i] - 1, lane]
                while near != 0:
                    place = _trailing_zeros(near)
                    near &= near - np.uint64(1)
                    item = lane * 64 + np.int64(place)
                    if item >= valid:
                        break
                    value = start_limit - 1 - _number(counters, levels[i], lane, place)
                    if value >= limits[i]:
                        continue
                    rows[i, used[i]], values[i, used[i]] = first_row + tile * TILE_ITEMS + item, value
                    used[i] += 1
                    if used[i] == room:
                        limits[i] = _value_of_rank(values[i], room, top, histogram)
                        used[i] = _keep_smallest(rows[i], values[i], room, top, limits[i])


@compiled
def _weighted_distance(tiles, tile, item, bits, signs, weights, first, last, length):
    """Sum of the weights of the bits of one item that differ, half where undecided, in the order of the bits."""
    lane, place = item >> 6, np.uint64(item & 63)
    undecided = tiles.shape[1] > 2 * length
    distance = 0.0
    for b in range(first, last):  # without an if: the processor cannot guess the bits
        bit = bits[b]
        differs = np.float64(((tiles[tile, bit, lane] >> place) & np.uint64(1)) ^ np.uint64(signs[b] > 0))
        if undecided:
            half = (tiles[tile, length + bit, lane] >> place) & np.uint64(1)
            differs = 0.5 if half else differs
        distance += weights[b] * differs
    return distance


@compiled
def scan_weights(tiles, items, first_row, words, steps, step_counts, constants, levels, top, limits, rows, values, used,
                 counters, worst, length, bits, signs, weights, bit_starts, scales, lows):
    """The same with weights: the programs count rounded weights, and every candidate is weighed exactly.

    values: (Q, C) float64, exact distances. worst: (Q,) float64, only nearer items are collected; gets smaller.
    bits, signs, weights: the chosen bits of all queries one after another, query i from bit_starts[i]. An item that is
    counted as v is at least v x scales[i] + lows[i] away.
    """
    room = rows.shape[1]
    for tile in range(tiles.shape[0]):
        valid = min(items - tile * TILE_ITEMS, TILE_ITEMS)
        for i in range(len(limits)):
            if not _run_program(tiles, tile, words, steps, i, step_counts[i],
                                constants[i] - limits[i], levels[i], counters):
                continue
            for lane in range(LANES):
                near = ~counters[levels[i] - 1, lane]
                while near != 0:
                    place = _trailing_zeros(near)
                    near &= near - np.uint64(1)
                    item = lane * 64 + np.int64(place)
                    if item >= valid:
                        break
                    value = _weighted_distance(tiles, tile, item, bits, signs, weights, bit_starts[i],
                                               bit_starts[i + 1], length)
                    if value >= worst[i]:
                        continue
                    rows[i, used[i]], values[i, used[i]] = first_row + tile * TILE_ITEMS + item, value
                    used[i] += 1
                    if used[i] == room:
                        worst[i] = np.partition(values[i], top - 1)[top - 1]
                        used[i] = _keep_smallest(rows[i], values[i], room, top, worst[i])
                        # Rounding of the sums is below 1e-9 of them; a limit that is too high only costs time.
                        most = np.int64(np.floor((worst[i] * (1 + 1e-9) - lows[i]) / scales[i]))
                        limits[i] = min(limits[i], most + 1)


@compiled
def transpose_bits(packed, first_item, planes):
    """Write rows of packed bits into the planes of tiles, for whole groups of eight rows.

    packed: (N, C) uint8, eight bits of a code a byte; N a multiple of 8. planes: (T, 8 x C or more, 64) uint8, byte b
    of a plane holds one bit of the items 8 b, ..., 8 b + 7 of its tile. The first row is item ``first_item``, a
    multiple of 8.
    """
    rows, columns = packed.shape
    for group in range(rows // 8):
        item = first_item + 8 * group
        tile, byte = item // TILE_ITEMS, (item % TILE_ITEMS) // 8
        for column in range(columns):
            block = np.uint64(0)
            for row in range(8):
                block |= np.uint64(packed[8 * group + row, column]) << np.uint64(8 * row)
            # An 8 x 8 matrix of bits is transposed by swapping ever larger quarters.
            swap = (block ^ (block >> np.uint64(7))) & np.uint64(0x00AA00AA00AA00AA)
            block ^= swap ^ (swap << np.uint64(7))
            swap = (block ^ (block >> np.uint64(14))) & np.uint64(0x0000CCCC0000CCCC)
            block ^= swap ^ (swap << np.uint64(14))
            swap = (block ^ (block >> np.uint64(28))) & np.uint64(0x00000000F0F0F0F0)
            block ^= swap ^ (swap << np.uint64(28))
            for bit in range(min(8, planes.shape[1] - 8 * column)):
                planes[tile, 8 * column + bit, byte] = np.uint8(block >> np.uint64(8 * bit))

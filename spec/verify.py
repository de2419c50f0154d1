#!/usr/bin/env python3
"""A second verifier of zkllmc proofs, version 1, after SPEC.md: plain Python 3.9, standard library only.

    verify.py --circuit circuit.bin [longer.bin …] [--vk model.vk [--statement statement.bin --proof proof.bin]]

The circuits of a family, the shortest first, are audited (16) before anything else is looked at. This program exists to check the specification and the first verifier
against each other. Numbers in parentheses are sections of SPEC.md.
Nothing here is fast, constant in time or meant for service; the order of the text is that of the specification.

Exit codes: 0 accepted, 1 rejected, 2 usage, 3 unreadable (a file is missing, the circuit is no circuit), 4 a defect of this program.
"""

import argparse
import hashlib
import itertools
import secrets
import sys

P = 21888242871839275222246405745257275088696311157297823662689037894645226208583  # order of the group: the scalars (1.1)
Q = 21888242871839275222246405745257275088548364400416034343698204186575808495617  # the field of the curve's coordinates
HALF = pow(2, -1, P)
LAMBDA = 2203960485148121921418603742825762020974279258880205651966  # (3.4)
PROTOCOL = 'zkllmc/v1'
DOMAIN = b'zkllmc/v1/generators/'  # before every message that is hashed to a generator (2.1)

WEIGHT, WITNESS, PUBLIC, CONST, VIRTUAL, AFFINE = 1, 2, 3, 4, 5, 6  # kinds of tensors (5.3)
IDS, INTEGERS, BOOLEANS, REALS = 1, 2, 3, 4  # kinds of elements (5.3)
NOTHING, VALUES, ARGMAX = 1, 2, 3  # what statements tell of a port (5.3)
PORT_VALUES, ONE_HOT, ARGMAX_AT, ARGMAX_BELOW, SELECTED, KNOWN = 1, 2, 3, 4, 5, 6  # views (6.5)
FUNCTION, GENERATION = 1, 2  # kinds of statements (4.6)
UNSATURATED = 64  # what is added where no value was clamped (4.6)
RESCALE, CLAMP, LIMBS, TABLE, INVERSE_ROOT, RECIPROCAL, ATTENTION, INPUT, WIDE = range(1, 10)  # kinds of hints (16.5)
MAX_REFERENCES, MAX_KNOWN_CELLS, MAX_OPENED_ROWS = 1 << 17, 1 << 30, 1 << 26  # (10.7)


class Reject(Exception):
    """A key, statement or proof is not acceptable."""


class Unreadable(Exception):
    """The verifier's own inputs are unusable."""


def require(condition, reason):
    if not condition:
        raise Reject(reason)


# --- 1. Notation and encodings ---------------------------------------------------------------------------------------------------


def bits(d):
    """(1.5) the number of variables of an axis of extent d ≥ 1."""
    return (d - 1).bit_length()


def pad(n):
    """(1.5) the least power of two that is at least n."""
    return 1 << bits(n) if n > 0 else 1


def variables(shape):
    return sum(bits(d) for d in shape)


def u64(n):
    return n.to_bytes(8, 'big')


def text(s):
    raw = s.encode()
    return u64(len(raw)) + raw


def decode_scalar(raw):
    """(1.3)"""
    v = int.from_bytes(raw, 'big')
    require(v < P, 'a scalar is not reduced')
    return v


def decode_point(raw):
    """(1.4) A point is a pair (x, y), the neutral element is None."""
    flags, x = raw[0] >> 6, int.from_bytes(raw, 'big') & ((1 << 254) - 1)
    if flags == 0b01:
        require(x == 0, 'the neutral element has other bits set')
        return None
    require(flags != 0b00 and x < Q, 'a point is not canonical')
    y = square_root(x ** 3 - 17)
    require(y is not None, 'a point is not on the curve')
    larger = y > (Q - 1) // 2
    return x, (y if larger == (flags == 0b11) else -y % Q)


def encode_point(point):
    if point is None:
        return bytes([0x40]) + bytes(31)
    raw = bytearray(point[0].to_bytes(32, 'big'))
    raw[0] |= 0xC0 if point[1] > (Q - 1) // 2 else 0x80
    return bytes(raw)


# 5 is no square mod Q, so that ROOT generates the elements of order 2^28; the digits of those of order 2^7 tell a logarithm seven bits at a time.
ODD, TWOS, STEP = (Q - 1) >> 28, 28, 7
ROOT = pow(5, ODD, Q)
UNROOT = pow(ROOT, -1, Q)
DIGITS = {pow(ROOT, digit << TWOS - STEP, Q): digit for digit in range(1 << STEP)}


def square_root(a):
    """One square root mod Q, or None: a·w where w² is 1/a but for a power of ROOT, the half of which is taken off."""
    a %= Q
    if a == 0:
        return 0
    w = pow(a, (ODD - 1) // 2, Q)
    rest, log = a * w * w % Q, 0
    for known in range(0, TWOS, STEP):
        log += DIGITS[pow(rest * pow(UNROOT, log, Q), 1 << TWOS - STEP - known, Q)] << known
        if log % 2:
            return None
    return a * w * pow(UNROOT, log // 2, Q) % Q


def double(a):
    """Jacobian coordinates (X, Y, Z) for (X/Z², Y/Z³); None is neutral. No point of G has Y = 0: its order is odd."""
    if a is None:
        return None
    x, y, z = a
    xx, yy = x * x % Q, y * y % Q
    s, m = 4 * x * yy % Q, 3 * xx % Q
    x3 = (m * m - 2 * s) % Q
    return x3, (m * (s - x3) - 8 * yy * yy) % Q, 2 * y * z % Q


def add(a, b):
    """The sum of two points in Jacobian coordinates."""
    if a is None or b is None:
        return b if a is None else a
    (x1, y1, z1), (x2, y2, z2) = a, b
    zz1, zz2 = z1 * z1 % Q, z2 * z2 % Q
    u1, s1 = x1 * zz2 % Q, y1 * zz2 * z2 % Q
    h, r = (x2 * zz1 - u1) % Q, (y2 * zz1 * z1 - s1) % Q
    if h == 0:
        return double(a) if r == 0 else None
    hh = h * h % Q
    hhh, v = h * hh % Q, u1 * hh % Q
    x3 = (r * r - hhh - 2 * v) % Q
    return x3, (r * (v - x3) - s1 * hhh) % Q, z1 * z2 * h % Q


def affine(a):
    if a is None:
        return None
    inverse = pow(a[2], -1, Q)
    return a[0] * inverse ** 2 % Q, a[1] * inverse ** 3 % Q


def sum_is_neutral(terms):
    """Whether Σ scalar·point over pairs (point, scalar) is the neutral element, by buckets per window of the scalars."""
    terms = [((*point, 1), scalar % P) for point, scalar in terms if point is not None and scalar % P]
    width = min(range(1, 12), key=lambda w: -(-256 // w) * (len(terms) + (2 << w)))  # the least number of sums
    total = None
    for shift in reversed(range(0, 256, width)):
        for _ in range(width):
            total = double(total)
        buckets = [None] * (1 << width)
        for point, scalar in terms:
            digit = scalar >> shift & ((1 << width) - 1)
            if digit:
                buckets[digit] = add(buckets[digit], point)
        running = window = None
        for bucket in reversed(buckets[1:]):
            running = add(running, bucket)
            window = add(window, running)
        total = add(total, window)
    return total is None


def eq(a, b):
    """(1.7) for two points."""
    v = 1
    for x, y in zip(a, b):
        v = v * (x * y + (1 - x) * (1 - y)) % P
    return v


def eq_index(r, i):
    """(1.7) for a point and an integer."""
    if i >> len(r):
        return 0
    v = 1
    for k, x in enumerate(r):
        v = v * (x if i >> k & 1 else 1 - x) % P
    return v


def eq_table(r):
    """eq(r, i) for all i."""
    t = [1]
    for x in r:
        high = [a * x % P for a in t]
        t = [(a - b) % P for a, b in zip(t, high)] + high
    return t


def below(weights, d):
    """Σ_{i<d} Π_k weights[k][bit k of i]: both closed forms of (1.7). The i that agree with d above bit k and are smaller there."""
    low = [1]  # sums over all lower bits
    for zero, one in weights:
        low.append(low[-1] * (zero + one) % P)
    if d >> len(weights):
        return low[-1]
    total, prefix = 0, 1
    for k in reversed(range(len(weights))):
        zero, one = weights[k]
        if d >> k & 1:
            total = (total + prefix * zero * low[k]) % P
        prefix = prefix * (one if d >> k & 1 else zero) % P
    return total


def valid(r, d):
    return below([((1 - x) % P, x) for x in r], d)


def pair(r, c, d):
    return below([((1 - x) * (1 - y) % P, x * y % P) for x, y in zip(r, c)], d)


def pieces(shape, r):
    """(1.6) cuts a tensor's point at its axes: (coordinates, extent), the last axis first."""
    out, at = [], 0
    for d in reversed(shape):
        out.append((r[at:at + bits(d)], d))
        at += bits(d)
    return out


def valid_box(shape, r):
    v = 1
    for part, d in pieces(shape, r):
        v = v * valid(part, d) % P
    return v


def mle(values, shape, r):
    """(1.7) of a tensor, axis by axis."""
    for part, d in pieces(shape, r):
        weights = eq_table(part)
        values = [sum(x * y for x, y in zip(values[i:i + d], weights)) % P for i in range(0, len(values), d)]
    return values[0]


def lagrange(n, x):
    """(1.8)"""
    before, after, factorial = [1], [1], [1]
    for i in range(n + 1):
        before.append(before[-1] * (x - i) % P)
        after.append(after[-1] * (x - (n - i)) % P)
        factorial.append(factorial[-1] * (i + 1) % P)
    return [before[i] * after[n - i] * (-1) ** (n - i) * pow(factorial[i] * factorial[n - i], -1, P) % P for i in range(n + 1)]


# --- 2. Generators ---------------------------------------------------------------------------------------------------------------


def derive(tag, i):
    """(2.1) the first abscissa of a point among those that tag and index are hashed to."""
    for k in itertools.count():
        h = hashlib.sha512(DOMAIN + f'{tag}/{i}/{k}'.encode()).digest()
        x = int.from_bytes(h[:48], 'big') % Q
        y = square_root(x ** 3 - 17)
        if y is not None:
            return x, y if y % 2 == h[63] % 2 else Q - y


class Generators:
    """The generators by tag, derived when they are first asked for, or read from a file that the user wrote himself (2.4)."""

    def __init__(self):
        self.tags = {}

    def get(self, tag, n):
        have = self.tags.setdefault(tag, [])
        have.extend(derive(tag, i) for i in range(len(have), n))
        return have[:n]

    def load(self, raw, samples=4):
        """(2.4) Every point must be on the curve, and a random sample of each tag must be what is derived."""
        def fail():
            raise Unreadable('the file of generators is damaged, of another version, or forged')
        body, at = raw[:-32], 0
        if len(raw) < 32 or hashlib.sha256(body).digest() != raw[-32:]:
            fail()

        def take(n):
            nonlocal at
            if n > len(body) - at:
                fail()
            at += n
            return body[at - n:at]

        def number(n):
            return int.from_bytes(take(n), 'big')
        if take(8) != b'zkllmcG1' or take(number(2)) != DOMAIN:
            fail()
        for _ in range(number(4)):
            tag, points = take(number(2)).decode(), []
            for _ in range(number(4)):
                x, y = number(32), number(32)
                if x >= Q or y >= Q or (y * y - x ** 3 + 17) % Q:
                    fail()
                points.append((x, y))
            for i in {secrets.randbelow(len(points)) for _ in range(samples)} if points else ():
                if derive(tag, i) != points[i]:
                    fail()
            self.tags[tag] = points
        if at != len(body):
            fail()

    def dump(self):
        out = b'zkllmcG1' + len(DOMAIN).to_bytes(2, 'big') + DOMAIN + len(self.tags).to_bytes(4, 'big')
        for tag in sorted(self.tags, key=str.encode):
            out += len(tag.encode()).to_bytes(2, 'big') + tag.encode() + len(self.tags[tag]).to_bytes(4, 'big')
            out += b''.join(v.to_bytes(32, 'big') for point in self.tags[tag] for v in point)
        return out + hashlib.sha256(out).digest()


# --- 3. Transcript ---------------------------------------------------------------------------------------------------------------


class Transcript:
    """(3.1) The state is kept as the bytes that were written since it was last emptied. trace, a list or None, gets a line per operation."""

    def __init__(self, protocol, trace=None):
        self.state, self.trace = b'\x00' + text(protocol), trace

    def note(self, kind, label, data):
        if self.trace is not None:
            shown = data.hex() if len(data) <= 64 else f'{len(data)} bytes, SHA-256 {hashlib.sha256(data).hexdigest()}'
            self.trace.append(f'{kind:6} "{label}" {shown}'.rstrip())

    def absorb(self, label, data):
        self.state += b'\x01' + text(label) + u64(len(data)) + data
        self.note('absorb', label, data)

    def squeeze(self, kind, label, n):
        out = hashlib.shake_256(self.state + bytes([kind]) + text(label) + u64(n)).digest(64 + n)
        self.state = b'\x05' + out[:64]
        return out[64:]

    def full(self, label):
        v = int.from_bytes(self.squeeze(2, label, 64), 'big') % P
        self.note('full', label, v.to_bytes(32, 'big'))
        return v

    def short(self, label):
        v = int.from_bytes(self.squeeze(3, label, 16), 'big') % (1 << 125) * pow(2, -128, P) % P
        self.note('short', label, v.to_bytes(32, 'big'))
        return v

    def bytes(self, label, n):
        raw = self.squeeze(4, label, n)
        self.note('bytes', label, raw)
        return raw


def folding_challenge(raw):
    """(3.4)"""
    a, b = int.from_bytes(raw[:8], 'big'), int.from_bytes(raw[8:], 'big')
    v = (a + b * LAMBDA) % P
    require(a and b and v, 'a folding challenge is forbidden')
    return v


# --- 4. Artefacts ----------------------------------------------------------------------------------------------------------------


def strip_header(data, magic, digests, what):
    """(4.1) checks the header and returns which of these digests it has, and what follows."""
    require(data[:8] == magic, f'{what}: it is of another kind')
    require(data[8:12] == (1).to_bytes(4, 'big'), f'{what}: it is of another version')
    require(data[12:44] in digests, f'{what}: it belongs to another circuit')
    return digests.index(data[12:44]), data[44:]


# --- 5. Circuit ------------------------------------------------------------------------------------------------------------------


class Record:
    """A bag of named fields."""

    def __init__(self, **fields):
        self.__dict__.update(fields)


class Decoder:
    """Reads the canonical encoding (5.5)."""

    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, n):
        if n < 0 or n > len(self.data) - self.at:
            raise Unreadable('the circuit ends early')
        self.at += n
        return self.data[self.at - n:self.at]

    def int(self):
        return int.from_bytes(self.take(8), 'big', signed=True)

    def text(self):
        return self.take(self.int()).decode()

    def list(self, read):
        n = self.int()
        if n < 0 or n > (len(self.data) - self.at) // 8:
            raise Unreadable('the circuit has a list longer than itself')
        return [read() for _ in range(n)]

    def ints(self):
        return self.list(self.int)

    def axes(self):
        return self.list(self.ints)

    def term(self):
        return Record(coef=self.int(), extents=self.ints(), out=self.axes(), factors=self.list(lambda: (self.int(), self.axes())))

    def tensor(self):
        return Record(name=self.text(), kind=self.int(), shape=self.ints(), lo=self.int(), hi=self.int(), view=self.int(),
                      port=self.int(), values=self.ints(), mult=self.int(), why=self.text(), terms=self.list(self.term))

    def port(self):
        """(5.3) raw is what proofs absorb: all but the tensor."""
        at = self.at
        p = Record(name=self.text(), out=self.int(), kind=self.int(), shape=self.ints(), lo=self.int(), hi=self.int(), scale=self.int(),
                   reveal=self.int())
        p.raw, p.tensor = self.data[at:self.at], self.int()
        return p

    def circuit(self):
        if self.text() != 'zkllmc circuit' or self.int() != 2:
            raise Unreadable('the circuit is not in encoding 2')
        c = Record(name=self.text(), weight_bits=self.int(), witness_bits=self.int(), ports=self.list(self.port), generation=self.int())
        c.pad = self.int() if c.generation else None
        c.__dict__.update(
            tensors=self.list(self.tensor),
            tables=self.list(lambda: Record(name=self.text(), mult=self.int(), columns=self.list(self.ints))),
            lookups=self.list(lambda: Record(table=self.int(), columns=self.ints())), zeros=self.ints(),
            hints=self.list(lambda: Record(kind=self.int(), ins=self.ints(), out=self.ints(), params=self.ints(), table=self.int())))
        if self.at != len(self.data):
            raise Unreadable('there are bytes behind the circuit')
        return c


def read_circuit(data):
    """Decodes, analyses and audits a circuit. Its digest is over the bytes themselves."""
    try:
        c = Decoder(data).circuit()
    except (IndexError, UnicodeDecodeError) as err:
        raise Unreadable(f'the circuit is malformed: {err}') from err
    c.digest = hashlib.sha256(data).digest()
    audit(c)
    return c


def analyse(c):
    """(5.7, 5.8) of a circuit whose form was checked."""
    for t in c.tensors:
        for m in t.terms:
            classify(c, m)
    schedule(c)


def box_size(shape):
    n = 1
    for d in shape:
        n *= d
    return n


def affine_work(t):
    """(10.7) the products of an evaluation that goes through the bits of the indices, the lowest first, and knows the carry."""
    lo = hi = t.values[0]
    total, split = 0, sum(d & (d - 1) > 0 for d in t.shape)
    for b in range(max(bits(d) for d in t.shape)):
        strides = [s for s, d in zip(t.values[1:], t.shape) if b < bits(d)]
        total += (hi - lo + 1) << split + len(strides)
        lo, hi = -(-(lo + sum(min(s, 0) for s in strides)) // 2), (hi + sum(max(s, 0) for s in strides)) // 2
    return total


def affine_mle(t, r):
    """(10.8) A state is a carry and the set of the axes whose index is less than the extent so far."""
    offset, strides = t.values[0], t.values[1:]
    points = [part for part, _ in pieces(t.shape, r)][::-1]
    masked = frozenset(a for a, d in enumerate(t.shape) if d & (d - 1))
    states = {(offset, frozenset()): 1}
    for b in range(max(bits(d) for d in t.shape)):
        for a, d in enumerate(t.shape):
            if b < bits(d):
                states = choose_bit(states, a, strides[a], points[a][b], d >> b & 1 if a in masked else None)
        states = {(carry // 2, less): weight for (carry, less), weight in states.items() if carry % 2 == 0}
    return states.get((0, masked), 0)


def choose_bit(states, axis, stride, r, of_extent):
    """Both bits of an index; of_extent is that of the extent, None if it needs no flag."""
    out = {}
    for (carry, less), weight in states.items():
        for x, factor in ((0, 1 - r), (1, r)):
            flags = less
            if of_extent is not None and x != of_extent:
                flags = less | {axis} if x < of_extent else less - {axis}
            key = carry + stride * x, flags
            out[key] = (out.get(key, 0) + weight * factor) % P
    return out


def known(t):
    """(5.3) whether the verifier can evaluate a tensor itself."""
    return t.kind in (PUBLIC, CONST, AFFINE)


def classify(c, m):
    """(5.7)"""
    m.uses = [0] * len(m.extents)
    for _, axes in m.factors:
        for axis in axes:
            for l in axis:
                m.uses[l] += 1
    m.in_out = {l for axis in m.out for l in axis}
    m.shared = [l for l, n in enumerate(m.uses) if n >= 2]
    m.hidden = sum(not known(c.tensors[f]) for f, _ in m.factors)
    m.passes = not m.shared and m.hidden <= 1


def schedule(c):
    """(5.8) gives every tensor its wave."""
    last = {k: 0 for lookup in c.lookups for k in lookup.columns}
    last.update((z, 0) for z in c.zeros)
    for t in c.tensors:
        t.wave = 0
    for k in reversed(range(len(c.tensors))):
        t = c.tensors[k]
        if t.kind != VIRTUAL or k not in last:
            continue
        if not all(m.passes for m in t.terms):
            t.wave = last[k] + 1
        for m in t.terms:
            for f, _ in m.factors:
                last[f] = max(last.get(f, 0), last[k] if m.passes else t.wave)
    c.waves = max((t.wave for t in c.tensors), default=0)


def read_family(encoded):
    """(5.10, 16.8) reads, audits and compares the circuits of a family, the shortest first."""
    members = [read_circuit(data) for data in encoded]
    for short, long in zip(members, members[1:]):
        reason = strangers(short, long)
        if reason:
            raise Unreadable('not a family: ' + reason)
    digest = members[0].digest
    if len(members) > 1:
        data = b'zkllmc family' + len(members).to_bytes(4, 'big') + b''.join(c.digest for c in members)
        digest = hashlib.sha256(data).digest()
    return Record(members=members, digest=digest)


def strangers(c, d):
    """(5.10) why d is no longer circuit of the model that c is of, None if it is."""
    def common(c):
        weights = [(t.name, t.shape, t.lo, t.hi) for t in c.tensors if t.kind == WEIGHT]
        ports = [(p.name, p.out, p.kind, len(p.shape), p.scale, p.reveal, p.out or (p.lo, p.hi)) for p in c.ports]
        return {'name': c.name, 'row width': c.weight_bits, 'kind of statement': (c.generation, c.pad), 'weights': weights, 'ports': ports}
    other = common(d)
    for what, value in common(c).items():
        if value != other[what]:
            return f'it has another {what}' if what[-1] != 's' else f'it has other {what}'
    extents = [(m, n) for p, q in zip(c.ports, d.ports) for m, n in zip(p.shape, q.shape)]
    if any(m > n for m, n in extents):
        return 'a port becomes shorter'
    return None if any(m < n for m, n in extents) else 'no port becomes longer'


def range_proof(f):
    """(5.6) the pieces of the range proof: the rows from the first up to the last, and the canonical encoding of the setup circuit."""
    c = f.members[0]
    layout, size = Layout(c, WEIGHT, c.weight_bits), max(1, (2 ** 24 - 2 ** 17) // 2 ** max(c.weight_bits, 14))
    for first in range(0, layout.rows, size):
        end = min(first + size, layout.rows)
        yield first, end, setup_circuit(f, layout, first, end)


def parts(c, layout, first, end):
    """(5.6) name, shape and bounds of the weights of the setup circuit of a piece, the rows from first up to end - 1."""
    for k, t in enumerate(c.tensors):
        if t.kind != WEIGHT:
            continue
        place = layout.places[k]
        at = max(first, place.row)
        end_of = min(end, place.row + (len(place.heads) if place.owner else 1))
        while at < end_of:
            if not place.owner:
                yield t.name, t.shape, t
                break
            n = 1 << (end_of - at).bit_length() - 1
            yield f'{t.name} rows {at} to {at + n - 1}', (n, 1 << layout.b), t
            at += n


def setup_circuit(f, layout, first, end):
    """(5.6) the canonical encoding of the setup circuit of a piece, the rows from first up to end - 1."""
    c = f.members[0]

    def i(*values):
        return b''.join(v.to_bytes(8, 'big', signed=True) for v in values)

    def items(encoded):
        return i(len(encoded)) + b''.join(encoded)
    tensors, tables, lookups, named = [], [], [], {}

    def tensor(name, kind, shape, lo, hi, mult):
        tensors.append(text(name) + i(kind) + items([i(d) for d in shape]) + i(lo, hi, 0, 0, 0, mult) + text('') + i(0))
        return len(tensors) - 1
    for part, shape, t in parts(c, layout, first, end):
        weight, name = tensor(part, WEIGHT, shape, t.lo, t.hi, 0), range_name(t.lo, t.hi)
        if name not in named:
            mult = tensor('multiplicities ' + name, WITNESS, [t.hi - t.lo + 1], 0, 2 ** 31 - 1, 1)
            named[name] = len(tables)
            tables.append(text(name) + i(mult) + items([items([i(v) for v in range(t.lo, t.hi + 1)])]))
        lookups.append(i(named[name]) + items([i(weight)]))
    head = text('zkllmc circuit') + i(2) + text('weights of ' + f.digest.hex()) + i(c.weight_bits, c.witness_bits, 0, 0)
    return head + items(tensors) + items(tables) + items(lookups) + i(0, 0)


def range_name(lo, hi):
    """(5.6)"""
    n = hi + 1
    if n < 1 or n & (n - 1) or lo not in (0, -n):
        return f'range [{lo},{hi}]'
    return f'range [0,2^{bits(n)})' if lo == 0 else f'range [-2^{bits(n)},2^{bits(n)})'


# --- 6. Statement ----------------------------------------------------------------------------------------------------------------


class Body:
    """(4.6) the bytes of a statement behind its header: integers of 1, 2, 4 or 8 bytes."""

    def __init__(self, body, kind):
        self.body, self.at = body, 0
        first = self.int(1)
        self.unsaturated = first == kind + UNSATURATED
        require(first == kind or self.unsaturated, 'statement: it is of another kind')

    def int(self, n):
        require(self.at + n <= len(self.body), 'statement: it ends early')
        self.at += n
        return int.from_bytes(self.body[self.at - n:self.at], 'big', signed=True)

    def list(self, n):
        width, count = self.int(1), self.int(8)
        require(width in (1, 2, 4, 8), 'statement: a wrong width of values')
        require(count == n, 'statement: a wrong number of values')
        values = [self.int(width) for _ in range(count)]
        least = next(w for w in (1, 2, 4, 8) if all(-1 << 8 * w - 1 <= v < 1 << 8 * w - 1 for v in values))
        require(width == least, 'statement: its values fit fewer bytes')
        return values

    def close(self):
        require(self.at == len(self.body), 'statement: there are bytes behind it')


class Function:
    """(4.6, 6.2) a statement of the kind function that suits the circuit."""

    def __init__(self, c, body):
        self.c, self.body = c, body
        b = Body(body, FUNCTION)
        self.unsaturated = b.unsaturated
        self.values = [b.list(self.count(p)) for p in c.ports]
        b.close()
        for p, values in zip(c.ports, self.values):
            lo, hi = (0, p.shape[-1] - 1) if p.reveal == ARGMAX else (p.lo, p.hi)
            require(all(lo <= v <= hi for v in values), f'statement: a value of port {p.name} is out of range')

    @staticmethod
    def count(p):
        return 0 if p.reveal == NOTHING else box_size(p.shape[:-1] if p.reveal == ARGMAX else p.shape)

    def cells(self, t):
        """(6.5) a public tensor, row-major."""
        values, n = self.values[t.port], t.shape[-1]
        if t.view == PORT_VALUES:
            return values
        return [int(j < v if t.view == ARGMAX_BELOW else j == v) for v in values for j in range(n)]


class Generation:
    """(4.6, 6.3) a statement of the kind generation that suits the circuit."""

    def __init__(self, c, body):
        self.c, self.body, self.made = c, body, {}
        b = Body(body, GENERATION)
        self.unsaturated = b.unsaturated
        n, self.prompt, self.next = b.int(8), b.int(8), b.int(8)
        require(1 <= n <= c.length, 'statement: its length does not suit the circuit')
        require(1 <= self.prompt <= n, 'statement: its prompt is empty or longer than itself')
        self.tokens = [b.int(8) for _ in range(n)]
        self.logits = b.list((n - self.prompt + 1) * c.vocab if c.output.reveal == VALUES else 0)
        b.close()
        self.check()

    def check(self):
        """(6.3) from the second item on."""
        c, n = self.c, len(self.tokens)
        for t, token in enumerate(self.tokens):
            hidden = c.input.reveal == NOTHING and t < self.prompt
            require(hidden == (token == -1) and (hidden or 0 <= token < c.vocab), f'statement: token {t}')
        require(self.next == -1 or c.output.reveal == ARGMAX and 0 <= self.next < c.vocab, 'statement: its next token')
        if c.output.reveal == ARGMAX:
            require(self.next != -1 or self.prompt < n, 'statement: it claims nothing of the output')
        else:
            require(all(c.output.lo <= v <= c.output.hi for v in self.logits), 'statement: a logit is out of range')
            for k in range(n - self.prompt):
                row = self.logits[k * c.vocab:(k + 1) * c.vocab]
                require(row.index(max(row)) == self.tokens[self.prompt + k], 'statement: its logits predict another answer')

    def selected(self, t):
        """(6.4)"""
        end = len(self.tokens) - (self.c.output.reveal == ARGMAX and self.next == -1)
        return self.prompt - 1 <= t < end

    def cells(self, t):
        """(6.5) a public tensor, row-major."""
        if t.view not in self.made:
            self.made[t.view] = [v for position in range(self.c.length) for v in self.row(t.view, position)]
        return self.made[t.view]

    def row(self, view, t):
        n, vocab = len(self.tokens), self.c.vocab
        if view == SELECTED:
            return [int(self.selected(t))]
        if view == KNOWN:
            return [int(t >= self.prompt)]
        if view == PORT_VALUES:
            k = t - (self.prompt - 1)
            return self.logits[k * vocab:(k + 1) * vocab] if self.logits and 0 <= k and t < n else [0] * vocab
        if view == ONE_HOT:
            token = self.tokens[t] if t < n else self.c.pad
            return [int(j == token) for j in range(vocab)]
        chosen = self.tokens[t + 1] if t + 1 < n else self.next
        if not self.selected(t):
            return [0] * vocab
        return [int(j == chosen if view == ARGMAX_AT else j < chosen) for j in range(vocab)]


# --- 7. Rows ---------------------------------------------------------------------------------------------------------------------


class Layout:
    """(7.1) where the tensors of one kind lie in rows of 2^b columns."""

    def __init__(self, c, kind, b):
        self.b, self.rows, self.places = b, 0, {}
        packed = []
        for k, t in enumerate(c.tensors):
            if t.kind == kind and variables(t.shape) >= b:
                self.place_owner(k, t.shape)
            elif t.kind == kind:
                packed.append((k, t.shape))
        column = 0
        for k, shape in sorted(packed, key=lambda item: -variables(item[1])):  # (7.3); the sort is stable
            self.rows += column == 0
            self.places[k] = Record(owner=False, shape=shape, row=self.rows - 1, column=column)
            column = (column + (1 << variables(shape))) % (1 << b)

    def place_owner(self, k, shape):
        """(7.2) heads lists (h, whether the row is a tail row) of the tensor's rows."""
        s, inner = len(shape) - 1, 0
        while inner + bits(shape[s]) < self.b:
            inner += bits(shape[s])
            s -= 1
        low = self.b - inner
        heads = [0]
        for d in shape[:s]:
            heads = [h << bits(d) | i for h in heads for i in range(d)]
        count = -(-shape[s] // (1 << low))
        heads = [(h << bits(shape[s]) - low | i, i == shape[s] >> low) for h in heads for i in range(count)]
        self.places[k] = Record(owner=True, shape=shape, row=self.rows, heads=heads, straddle=s, low=low)
        self.rows += len(heads)

    def coefficients(self, k, r, z):
        """(7.5, 7.6) the claim on tensor k at r as pairs (row, coef·Ẽ(z))."""
        place, at, common = self.places[k], 0, 1
        if not place.owner:
            for part, d in pieces(place.shape, r):
                common = common * pair(part, z[at:at + len(part)], d) % P
                at += len(part)
            return [(place.row, common * eq_index(z[at:], place.column >> at) % P)]
        for part, d in pieces(place.shape[place.straddle + 1:], r[:self.b - place.low]):
            common = common * pair(part, z[at:at + len(part)], d) % P
            at += len(part)
        full = common * pair(r[at:self.b], z[at:], 1 << place.low) % P
        tail = common * pair(r[at:self.b], z[at:], place.shape[place.straddle] % (1 << place.low)) % P
        heads = eq_table(r[self.b:])
        return [(place.row + i, heads[h] * (tail if is_tail else full) % P) for i, (h, is_tail) in enumerate(place.heads)]


# --- 8. Proof: order, hidden values, checks --------------------------------------------------------------------------------------

# An expression is a dictionary from wires (segment, entry) to coefficients; the key None is the constant (8.5). The segment DEFINED
# holds no entries of the proof but names of expressions, see Channel.define.

DEFINED = -1


def constant(v):
    return {None: v % P}


def combine(*terms):
    """Σ coefficient·expression."""
    out = {}
    for k, e in terms:
        for wire, v in e.items():
            out[wire] = (out.get(wire, 0) + k * v) % P
    return out


class Channel:
    """Reads a proof stream into the transcript and collects segments and checks (8.4 … 8.9)."""

    def __init__(self, transcript, stream):
        self.transcript, self.stream, self.at = transcript, stream, 0
        self.segments, self.products, self.linear, self.defined = [], [], [], []
        self.pads = self.vectors = 0

    def take(self, label, n):
        require(self.at + 32 * n <= len(self.stream), 'proof: it ends early')
        raw = self.stream[self.at:self.at + 32 * n]
        self.at += 32 * n
        self.transcript.absorb(label, raw)
        return [raw[32 * i:32 * i + 32] for i in range(n)]

    def points(self, label, n):
        return [decode_point(raw) for raw in self.take(label, n)]

    def clear(self, label, n):
        return [decode_scalar(raw) for raw in self.take(label, n)]

    def segment(self, tag, n, commitment):
        """commitment is a list of (point, coefficient)."""
        self.segments.append(Record(tag=tag, n=n, commitment=commitment))
        return len(self.segments) - 1

    def padded(self, label, n):
        """(8.6)"""
        first = self.pads
        self.pads += n
        return [{None: v, (0, first + i): P - 1} for i, v in enumerate(self.clear(label, n))]

    def vector(self, label, n):
        """(8.7)"""
        if n == 0:
            return []
        s = self.segment(f'vec/{self.vectors}', n, [(self.points(label, 1)[0], 1)])
        self.vectors += 1
        return [{(s, i): 1} for i in range(n)]

    def define(self, e):
        """An expression of one wire for e. Written out, expressions that share parts may double with every step (10.7)."""
        if len(e) - (None in e) <= 1:
            return e
        self.defined.append(e)
        return {(DEFINED, len(self.defined) - 1): 1}

    def product(self, x, y, z):
        self.products.append((x, y, z))

    def zero(self, e, segment=None, weights=()):
        self.linear.append((e, segment, weights))

    def sumcheck(self, label, rounds, degree, claim):
        """(8.9)"""
        point, claim = [], self.define(claim)
        for _ in range(rounds):
            g = self.padded(label, degree)
            r = self.transcript.short(label)
            l = lagrange(degree, r)
            claim = combine((l[1], claim), (l[0] - l[1], g[0]), *((l[j], g[j - 1]) for j in range(2, degree + 1)))
            point.append(r)
        return point, claim


def verify_stream(family, c, kind, model, opened, statement, body, stream, generators, trace):
    """(8.1 … 8.3) the proof at the beginning of a stream; returns the rest. family is a digest, opened are the rows of the model that
    the proof is about, body is what is absorbed of the statement."""
    if trace is not None:
        trace.append('# ' + kind)
    tr = Transcript(PROTOCOL, trace)
    tr.absorb('curve', b'grumpkin')
    tr.absorb('kind', kind.encode())
    tr.absorb('family', family)
    tr.absorb('circuit', c.digest)
    tr.absorb('model rows', u64(len(model)))
    tr.absorb('model', b''.join(encode_point(p) for p in model))
    for p in c.ports:
        tr.absorb('port', p.raw)
    tr.absorb('statement', body)
    ch = Channel(tr, stream)
    ch.segment('pad', None, [(ch.points('pads', 1)[0], 1)])  # how many entries it has is known at the end
    weights, witness = Layout(c, WEIGHT, c.weight_bits), Layout(c, WITNESS, c.witness_bits)
    rows = ch.points('witness rows', witness.rows)
    tree = FractionTree(c, ch)
    ledger = Ledger(c, ch, statement)
    leaves_and_zero_checks(c, ch, tree, ledger)
    for w in range(1, c.waves + 1):
        run_wave(ch, ledger, w)
    require(not ledger.requests and not any(ledger.pending), 'proof: a claim is left open')
    openings(c, ch, ledger.openings, [(weights, opened), (witness, rows)])
    product_block(ch)
    final_argument(ch, generators)
    return ch.stream[ch.at:]


# --- 9. Lookups ------------------------------------------------------------------------------------------------------------------


class FractionTree:
    """(9.1 … 9.6) leaves p and q as claims at the point, the blocks with their offsets."""

    def __init__(self, c, ch):
        blocks = [Record(table=l.table, columns=l.columns, shape=c.tensors[l.columns[0]].shape, lookup=True) for l in c.lookups]
        blocks += [Record(table=i, columns=[t.mult], shape=c.tensors[t.mult].shape, lookup=False) for i, t in enumerate(c.tables)]
        self.blocks = sorted(blocks, key=lambda b: -variables(b.shape))
        end = 0
        for b in self.blocks:
            b.offset, end = end, end + (1 << variables(b.shape))
        self.n = max(1, bits(end))
        self.beta, self.gamma = ch.transcript.full('lookup beta'), ch.transcript.full('lookup gamma')
        self.walk(ch)

    def walk(self, ch):
        a0, a1, b0, b1, z, q, inverse = ch.padded('lookup root', 7)  # (9.4)
        ch.product(a0, b1, z)
        ch.product(a1, b0, combine((-1, z)))
        ch.product(b0, b1, q)
        ch.product(q, inverse, constant(1))
        s = []
        for j in range(1, self.n):  # (9.5)
            lam = ch.transcript.full('lookup lambda')
            h, = ch.padded('lookup layer first', 1)
            r = ch.transcript.short('lookup rho')
            claim = combine((1 - r, a0), (r, a1), ((1 - r) * lam, b0), (r * lam, b1), (r * r - r, h))
            rho = [r]
            for i in range(2, j + 1):
                delta, h = ch.padded('lookup layer round', 2)
                r = ch.transcript.short('lookup rho')
                claim = combine((1, claim), (r - s[i - 2], delta), (r * r - r, h))
                rho.append(r)
            a0, a1, b0, b1, z = ch.padded('lookup layer claims', 5)
            ch.product(combine((1, a0), (lam, b0)), b1, z)
            ch.product(a1, b0, combine((1, claim), (-1, z)))
            s = rho
        mu = ch.transcript.full('lookup mu')  # (9.6)
        self.point = [mu] + s
        self.p, self.q = combine((1 - mu, a0), (mu, a1)), combine((1 - mu, b0), (mu, b1))

    def low(self, block):
        return self.point[:variables(block.shape)]

    def check(self, c, ch, ledger):
        """(9.7) ties the leaves to the columns."""
        p, q = [(1, self.p)], [(1, self.q), (1, constant(-1))]
        for b in self.blocks:
            m, low = variables(b.shape), self.low(b)
            w = eq_index(self.point[m:], b.offset >> m)
            v = w * valid_box(b.shape, low) % P
            q.append((1, constant(-(self.beta - 1 - (b.table + 1)) * v)))
            if b.lookup:
                p.append((1, constant(-v)))
                columns = [ledger.value(k, low) for k in b.columns]
            else:
                p.append((w, ledger.value(b.columns[0], low)))
                columns = [constant(mle(col, b.shape, low)) for col in c.tables[b.table].columns]
            q += [(w * pow(self.gamma, i, P), e) for i, e in enumerate(columns, 1)]
        ch.zero(combine(*p))
        ch.zero(combine(*q))


def decides(columns, k):
    """(9.8) whether column k of a table says where the others are zero."""
    lines = {-1: 0, 0: 0, 1: 0}
    opened = False
    for line in zip(*columns):
        if line[k] not in lines:
            return False
        zeros = not any(v for i, v in enumerate(line) if i != k)
        if line[k] == 0 and not zeros:
            return False
        opened |= line[k] != 0 and zeros
        lines[line[k]] += 1
    return len(columns) > 1 and opened and lines[0] > 0 and max(lines[-1], lines[1]) > 1


def classes(c):
    """(9.8) the classes of clamps; refuses a statement about a circuit of which they are not known."""
    gates = [[decides(t.columns, k) for k in range(len(t.columns))] for t in c.tables]
    found = {t for l in c.lookups for t, gate in zip(l.columns, gates[l.table]) if gate}
    named = []
    for h in c.hints:
        require(RESCALE <= h.kind <= WIDE, 'statement: whether a hint clamps is not known')
        n = {CLAMP: 1, WIDE: h.params[3] if h.kind == WIDE else 0}.get(h.kind, len(h.out))
        require(h.kind != CLAMP or len(h.out) > 1, 'statement: a clamp has no class')
        if n < len(h.out):
            found.difference_update(h.out[:n])
            named.append(h.out[n])
    require(found.issuperset(named), 'statement: a clamp has no class')
    return sorted(found)


# --- 10. Evaluations and waves ---------------------------------------------------------------------------------------------------


def label_points(m, r, half):
    """(10.4) the points of the labels that have one, and τ of the labels of the result."""
    tau, at = {}, 0
    for axis in reversed(m.out):
        for l in reversed(axis):
            tau[l] = r[at:at + bits(m.extents[l])]
            at += bits(m.extents[l])
    points = {l: tau[l] if l in m.in_out else [half] * bits(m.extents[l]) for l, uses in enumerate(m.uses) if uses == 1}
    return points, tau


def cut(m, r):
    """(10.4) returns κ and what label_points does."""
    points, tau = label_points(m, r, HALF)
    kappa = m.coef
    for l, uses in enumerate(m.uses):
        if uses == 0:
            kappa = kappa * valid(tau[l], m.extents[l]) % P
        elif uses == 1 and l not in m.in_out:
            kappa = kappa << bits(m.extents[l])
    return kappa % P, points, tau


def factor_point(axes, points):
    return [x for axis in reversed(axes) for l in reversed(axis) for x in points[l]]


class Ledger:
    """(10.1) known evaluations, requests, claims. An evaluation is a pair (tensor, point)."""

    def __init__(self, c, ch, statement):
        self.c, self.ch, self.statement = c, ch, statement
        self.values, self.openings = {}, []
        self.walked, self.requests = {}, {}  # since the last bind: evaluations with the terms that pass through; requests with their wires
        self.pending, self.wave = [[] for _ in range(c.waves + 1)], 0

    def ask(self, k, r):
        """Walks what was not walked before; the stack holds what is still to be asked for, the next one last."""
        stack = [(k, tuple(r))]
        while stack:
            key = stack.pop()
            if key in self.values or key in self.walked:
                continue
            t, r = self.c.tensors[key[0]], key[1]
            terms = self.walked[key] = []
            if not known(t) and (t.kind != VIRTUAL or t.wave > 0):
                self.requests[key] = None
            for m in t.terms:
                if m.passes:
                    kappa, points, _ = cut(m, r)
                    terms.append((kappa, [(f, tuple(factor_point(axes, points))) for f, axes in m.factors]))
            stack += [f for _, factors in reversed(terms) for f in reversed(factors)]

    def bind(self, label, extra):
        wires = self.ch.vector(label, len(self.requests) + extra)
        for key, wire in zip(self.requests, wires):
            t = self.c.tensors[key[0]]
            self.requests[key] = wire
            if t.kind != VIRTUAL:
                self.openings.append((key, wire))
            else:
                require(t.wave > self.wave, 'proof: a claim comes after its wave')
                self.pending[t.wave].append((key, wire))
        for key in sorted(self.walked, key=lambda key: key[0]):  # factors have smaller numbers
            self.values[key] = self.expression(key)
        wires = wires[len(self.requests):]
        self.requests, self.walked = {}, {}
        return wires

    def value(self, k, r):
        return self.values[k, tuple(r)]

    def expression(self, key):
        """(10.2) from those of the factors."""
        k, r = key
        t = self.c.tensors[k]
        if known(t):
            if t.kind == AFFINE:
                return constant(affine_mle(t, r))
            return constant(mle(self.statement.cells(t) if t.kind == PUBLIC else t.values, t.shape, r))
        if t.kind != VIRTUAL:
            return self.requests[key]
        parts = [(1, self.requests[key])] if t.wave else []
        for kappa, factors in self.walked[key]:
            hidden = constant(1)
            for f in factors:
                v = self.values[f]
                if known(self.c.tensors[f[0]]):
                    kappa = kappa * v[None] % P
                else:
                    hidden = v  # at most one: the term passes through
            parts.append((kappa, hidden))
        return self.ch.define(combine(*parts))


def leaves_and_zero_checks(c, ch, tree, ledger):
    """(10.3)"""
    n = max((variables(c.tensors[z].shape) for z in c.zeros), default=0)
    tau = [ch.transcript.full('zero-check tau') for _ in range(n)]
    seen = set()
    for b in tree.blocks:
        for k in b.columns:
            if k not in seen:
                seen.add(k)
                ledger.ask(k, tree.low(b))
    points = [(z, tau[:variables(c.tensors[z].shape)]) for z in c.zeros]
    for z, r in points:
        ledger.ask(z, r)
    ledger.bind('leaf evaluations', 0)
    tree.check(c, ch, ledger)
    if ledger.statement and ledger.statement.unsaturated:
        for k in classes(c):  # (9.8)
            ch.zero(ledger.value(k, tree.point[:variables(c.tensors[k].shape)]))
    for z, r in points:
        ch.zero(ledger.value(z, r))


def instances(c, claims, alpha):
    """(10.5, 1 and 2) the batched claim and the instances; points and κ are completed by run_wave."""
    out, claim, power = [], [], 1
    for (t, r), wire in claims:
        power = power * alpha % P
        claim.append((power, wire))
        for m in c.tensors[t].terms:
            if not m.passes:
                kappa, points, tau = cut(m, list(r))
                labels = m.shared[::-1]
                out.append(Record(m=m, kappa=kappa * power % P, points=points, tau=tau, labels=labels,
                                  n=sum(bits(m.extents[l]) for l in labels),
                                  degree=len(m.factors) + any(l in m.in_out for l in labels)))
    return out, combine(*claim)


def run_wave(ch, ledger, w):
    """(10.5)"""
    c, label = ledger.c, f'wave {w}'
    claims, ledger.pending[w], ledger.wave = ledger.pending[w], [], w
    if not claims:
        return
    batch, claim = instances(c, claims, ch.transcript.full(label + ' alpha'))
    rounds, degree = max(i.n for i in batch), max([1] + [i.degree for i in batch])
    point, result = ch.sumcheck(label, rounds, degree, claim)
    extra = 0
    for i in batch:
        at = rounds - i.n
        i.kappa = i.kappa * pow(HALF, at, P) % P
        for l in i.labels:
            i.points[l] = point[at:at + bits(i.m.extents[l])]
            at += len(i.points[l])
            if l in i.m.in_out:
                i.kappa = i.kappa * eq(i.tau[l], i.points[l]) % P
        for f, axes in i.m.factors:
            ledger.ask(f, factor_point(axes, i.points))
        extra += max(0, i.m.hidden - 1)
    partial = iter(ledger.bind(label + ' evaluations', extra))
    left = [(1, result)]
    for i in batch:
        y = None
        for f, axes in i.m.factors:
            v = ledger.value(f, factor_point(axes, i.points))
            if known(c.tensors[f]):
                i.kappa = i.kappa * v[None] % P
            elif y is None:
                y = v
            else:
                z = next(partial)
                ch.product(y, v, z)
                y = z
        left.append((-i.kappa, constant(1) if y is None else y))
    ch.zero(combine(*left))


# --- 11. Openings ----------------------------------------------------------------------------------------------------------------


def openings(c, ch, claims, sets):
    """sets holds (layout, commitments of its rows) of the weights and of the witness."""
    alpha = ch.transcript.full('alpha')
    classes = [[s] for s in sets] if c.weight_bits != c.witness_bits else [sets]  # (11.2)
    for members in classes:
        rows, mine = [], []
        for layout, points in members:
            mine += [(pow(alpha, k, P), key, wire, layout, len(rows)) for k, (key, wire) in enumerate(claims, 1) if key[0] in layout.places]
            rows += points
        if not mine:
            continue
        b = members[0][0].b
        z, result = ch.sumcheck('columns', b, 2, combine(*((power, wire) for power, _, wire, _, _ in mine)))  # (11.3)
        v = [0] * len(rows)
        for power, (k, r), _, layout, base in mine:
            for row, coefficient in layout.coefficients(k, list(r), z):
                v[base + row] = (v[base + row] + power * coefficient) % P
        s = ch.segment(f'row/{1 << b}', 1 << b, list(zip(rows, v)))
        ch.zero(combine((-1, result)), s, eq_table(z))


# --- 12. Product block -----------------------------------------------------------------------------------------------------------


def product_block(ch):
    m = len(ch.products)
    if m == 0:
        return
    block = ch.vector('product block', m + 3)
    c = ch.transcript.full('c')
    require(c > 2 * m, 'proof: c is forbidden')
    f, g = ch.clear('f(c), g(c)', 2)
    short, long = lagrange(m, c), lagrange(2 * m, c)
    ch.zero(combine((short[0], block[0]), *((short[i], x) for i, (x, _, _) in enumerate(ch.products, 1)), (1, constant(-f))))
    ch.zero(combine((short[0], block[1]), *((short[i], y) for i, (_, y, _) in enumerate(ch.products, 1)), (1, constant(-g))))
    ch.zero(combine((long[0], block[2]), *((long[i], z) for i, (_, _, z) in enumerate(ch.products, 1)),
                    *((long[i], block[3 + i - m - 1]) for i in range(m + 1, 2 * m + 1)), (1, constant(-f * g))))


# --- 13. Final argument ----------------------------------------------------------------------------------------------------------


def assemble(ch, nu, theta):
    """(13.2, 13.3) places the segments; returns n, J and t."""
    ch.segments[0].n = ch.pads
    at = 0
    for rank, s in enumerate(sorted(ch.segments, key=lambda s: -pad(s.n)), 1):
        s.offset, s.weight = at, pow(theta, rank, P)
        at += pad(s.n)
    form, target, power, named = [0] * pad(at), 0, 1, [0] * len(ch.defined)

    def sum_up(power, e):
        nonlocal target
        for wire, v in e.items():
            if wire is None:
                target = (target - power * v) % P
            elif wire[0] == DEFINED:
                named[wire[1]] = (named[wire[1]] + power * v) % P
            else:
                i = ch.segments[wire[0]].offset + wire[1]
                form[i] = (form[i] + power * v) % P
    for e, segment, weights in ch.linear:
        power = power * nu % P
        sum_up(power, e)
        for j, v in enumerate(weights):
            i = ch.segments[segment].offset + j
            form[i] = (form[i] + power * v) % P
    for i in reversed(range(len(named))):  # definitions name earlier ones only
        sum_up(named[i], ch.defined[i])
    for s in ch.segments:
        inverse = pow(s.weight, -1, P)
        form[s.offset:s.offset + s.n] = [v * inverse % P for v in form[s.offset:s.offset + s.n]]
    return len(form), form, target


def final_argument(ch, generators):
    tr = ch.transcript
    nu, theta = tr.full('nu'), tr.full('theta')
    require(theta, 'proof: theta is forbidden')
    n, form, target = assemble(ch, nu, theta)
    mask, = ch.points('D', 1)
    mask_form, = ch.clear('t_D', 1)
    e = tr.full('e')
    phi, = ch.clear('phi', 1)
    x = tr.full('x')
    require(x, 'proof: x is forbidden')
    rounds = []  # (L, R, x_i)
    while n >> len(rounds) > 16:
        left, right = ch.points('L, R', 2)
        rounds.append((left, right, folding_challenge(tr.bytes('fold', 16))))
    rest = ch.clear('rest', n >> len(rounds))

    # (13.6) omega[g] is built from the last round, which folds the lowest bit; then `after` is X.
    terms, omega, after = [], [1], 1
    for left, right, xi in reversed(rounds):
        terms += [(left, after * xi * xi), (right, after)]
        omega += [w * xi % P for w in omega]
        after = after * xi % P
    for s in ch.segments:
        terms += [(point, after * e * s.weight * v) for point, v in s.commitment]
    terms += [(mask, after), (generators.get('H', 1)[0], -after * phi)]
    weights = [w * u % P for w in omega for u in rest]  # by position
    for s in ch.segments:
        terms += [(point, -weights[s.offset + j]) for j, point in enumerate(generators.get(s.tag, s.n))]
    inner = sum(w * j for w, j in zip(weights, form))
    terms.append((generators.get('U', 1)[0], x * (after * (e * target + mask_form) - inner)))
    require(sum_is_neutral(terms), 'proof: the final equation does not hold')


# --- 14. Acceptance --------------------------------------------------------------------------------------------------------------


def accept_key(f, data, pinned, generators, trace):
    """(4.2, 4.3, 14.1) returns the model's commitments and ID. A key whose ID was pinned is not verified again."""
    c = f.members[0]
    _, body = strip_header(data, b'zkllm-vk', [f.digest], 'verifying key')
    require(any(p.out and p.reveal != NOTHING for p in c.ports), 'verifying key: the circuit reveals nothing of an output')
    rows = Layout(c, WEIGHT, c.weight_bits).rows
    require(len(body) >= 32 * rows, 'verifying key: it ends early')
    model = [decode_point(body[32 * i:32 * i + 32]) for i in range(rows)]
    identity = hashlib.sha256(b'zkllmc/v1 model' + f.digest + body[:32 * rows]).digest()
    if pinned is not None:
        require(identity == pinned, 'verifying key: it is of another model than the pinned one')
        return model, identity
    pieces, rest = list(range_proof(f)), body[32 * rows:]
    for k, (first, end, setup) in enumerate(pieces):
        place = u64(k) + u64(len(pieces))
        try:
            rest = verify_stream(f.digest, read_circuit(setup), 'setup', model, model[first:end], None, place, rest, generators, trace)
        except Reject as err:
            raise Reject(f'verifying key: piece {k + 1} of {len(pieces)} of its range proof: {err}') from err
    require(not rest, 'verifying key: there are bytes behind its end')
    return model, identity


def accept_proof(f, model, identity, statement, proof, generators, trace):
    """(14.2)"""
    k, body = strip_header(statement, b'zkllm-st', [c.digest for c in f.members], 'statement')
    c = f.members[k]
    st = (Generation if c.generation else Function)(c, body)
    if st.unsaturated:
        classes(c)
    _, body = strip_header(proof, b'zkllm-pf', [c.digest], 'proof')
    require(body[:32] == identity, 'proof: it belongs to another model')
    rest = verify_stream(f.digest, c, 'inference', model, model, st, st.body, body[32:], generators, trace)
    require(not rest, 'proof: there are bytes behind its end')


# --- 16. What an auditor checks --------------------------------------------------------------------------------------------------


def demand(condition, what):
    if not condition:
        raise Unreadable('not a circuit: ' + what)


def audit(c):
    """(16) refuses a circuit about which proofs mean nothing. What people have to look at (16.7) is left to them."""
    check_form(c)
    analyse(c)
    check_ports(c)
    check_public_tensors(c)
    check_lookups(c)
    check_hints(c)
    check_wide(c)
    check_work(c)
    proven = proven_intervals(c)
    check_bound_ports(c)
    if c.generation:
        check_causal(c, proven)


def check_form(c):
    """(16.1.2 … 16.1.4)"""
    demand(4 <= c.weight_bits <= 24 and 4 <= c.witness_bits <= 24 and c.generation in (0, 1), 'its configuration')
    for k, t in enumerate(c.tensors):
        demand(WEIGHT <= t.kind <= AFFINE and is_shape(t.shape, 1 << 31), f'the shape of tensor {t.name}')
        demand((in_bounds(t.lo, t.hi) or is_wide(t)) and t.mult in (0, 1), f'the bounds of {t.name}')
        demand((t.kind == VIRTUAL or not t.terms) and (t.kind == PUBLIC or t.view == t.port == 0), f'the kind of {t.name}')
        demand(t.kind in (CONST, AFFINE) or not t.values, f'the values of {t.name}')
        if t.kind == WEIGHT:
            demand((t.lo, t.hi) in [(-1 << j, (1 << j) - 1) for j in range(16)], f'the bounds of {t.name}')
        if t.kind == CONST:
            demand(len(t.values) == box_size(t.shape) and t.lo <= min(t.values) and max(t.values) <= t.hi, f'the values of {t.name}')
        if t.kind == AFFINE:
            demand(len(t.values) == 1 + len(t.shape) <= 9 and max(abs(v) for v in t.values) <= 1 << 30, f'the equation of {t.name}')
            demand((t.lo, t.hi) == (0, 1) and affine_work(t) <= 1 << 20, f'the equation of {t.name}')
        for m in t.terms:
            check_term(c, k, t, m)


def in_bounds(lo, hi):
    return -2 ** 62 < lo <= hi < 2 ** 62


def is_wide(t):
    return t.kind == VIRTUAL and (t.lo, t.hi) == (-2 ** 62, 2 ** 62)


def is_shape(shape, end):
    """Whether there is an axis, none is empty, and there are fewer cells than `end`."""
    return len(shape) > 0 and min(shape) >= 1 and box_size(shape) < end


def check_term(c, k, t, m):
    """(5.4)"""
    demand(all(0 <= f < k and not c.tensors[f].mult for f, _ in m.factors), f'the factors of {t.name}')
    named = [(t.shape, m.out)] + [(c.tensors[f].shape, axes) for f, axes in m.factors]
    demand(all(axes_fit(m, *n) for n in named), f'the labels of {t.name}')
    demand({l for _, axes in named for axis in axes for l in axis} == set(range(len(m.extents))), f'a label of {t.name}')


def axes_fit(m, shape, axes):
    """(5.4) whether lists of labels describe a tensor of a shape."""
    labels = [l for axis in axes for l in axis]
    if len(axes) != len(shape) or len(set(labels)) != len(labels) or not all(0 <= l < len(m.extents) for l in labels):
        return False
    split = (m.extents[l] for axis in axes for l in axis[1:])
    return (all(m.extents[l] >= 1 for l in labels) and all(d & (d - 1) == 0 for d in split)
            and all(box_size([m.extents[l] for l in a]) == d for a, d in zip(axes, shape)))


def check_ports(c):
    """(5.2, 5.3) what the fields of a port may be, and which ports a generation has."""
    for p in c.ports:
        demand(1 <= len(p.name.encode()) <= 4096 and is_shape(p.shape, (1 << 30) + 1) and p.out in (0, 1), f'port {p.name}')
        demand(0 <= p.tensor < len(c.tensors), f'the tensor of port {p.name}')
        demand(p.kind in ((INTEGERS, REALS) if p.out else (IDS, INTEGERS, BOOLEANS, REALS)), f'the elements of port {p.name}')
        demand(p.reveal in (NOTHING, VALUES) or p.reveal == ARGMAX and p.out and len(p.shape) >= 2, f'what is told of port {p.name}')
        demand(in_bounds(p.lo, p.hi) and (p.kind != BOOLEANS or (p.lo, p.hi) == (0, 1)), f'the range of port {p.name}')
        demand(p.kind != IDS or p.lo == 0 and 1 <= p.hi < 2 ** 31 - 1, f'the range of port {p.name}')
        demand(not p.out or p.lo <= 0 <= p.hi, f'the range of port {p.name}')
        demand(abs(p.scale) <= 120 if p.kind == REALS else p.scale == 0, f'the scale of port {p.name}')
        shape = p.shape + [p.hi + 1] if p.kind == IDS else p.shape
        demand(c.tensors[p.tensor].shape == shape, f'the tensor of port {p.name}')
    demand(len({p.name for p in c.ports}) == len(c.ports), 'two ports have one name')
    if c.generation:
        demand(sorted(p.out for p in c.ports) == [0, 1], 'a generation has an input and an output')
        c.input, c.output = sorted(c.ports, key=lambda p: p.out)
        c.length, c.vocab = c.input.shape[0], c.input.hi + 1
        demand(c.input.kind == IDS and len(c.input.shape) == 1 and c.output.shape == [c.length, c.vocab], 'the ports of a generation')
        demand(c.output.reveal != NOTHING and 0 <= c.pad < c.vocab, 'a generation')


def check_public_tensors(c):
    """(16.1.8)"""
    for t in c.tensors:
        if t.kind == PUBLIC:
            demand(0 <= t.port < len(c.ports) and t.shape == view_shape(c, t), f'the shape of {t.name}')
            p = c.ports[t.port]
            demand([t.lo, t.hi] == ([p.lo, p.hi] if t.view == PORT_VALUES else [0, 1]), f'the bounds of {t.name}')
            demand(c.generation or p.reveal == (ARGMAX if t.view in (ARGMAX_AT, ARGMAX_BELOW) else VALUES), f'what {t.name} shows')


def view_shape(c, t):
    """(6.5) the shape of a public tensor, None where a port has no such view."""
    p = c.ports[t.port]
    if t.view == PORT_VALUES and (p.out or not c.generation):
        return p.shape
    if t.view == ONE_HOT and p.kind == IDS:
        return p.shape + [p.hi + 1]
    if t.view in (ARGMAX_AT, ARGMAX_BELOW) and p.out:
        return p.shape
    if c.generation and (t.view == SELECTED and p.out or t.view == KNOWN and not p.out):
        return p.shape[:1]
    return None


def check_lookups(c):
    """(16.1.1, 16.1.5 … 16.1.7) and that zero-checks are of tensors."""
    def tensor(k):
        demand(0 <= k < len(c.tensors), f'there is no tensor {k}')
        return c.tensors[k]
    demand(c.lookups, 'it has no lookup')
    for table in c.tables:
        demand(table.columns and table.columns[0], f'table {table.name} is empty')
        lines, m = len(table.columns[0]), tensor(table.mult)
        demand(all(len(col) == lines for col in table.columns), f'the columns of {table.name}')
        demand(m.kind == WITNESS and m.mult == 1 and m.shape == [lines], f'the multiplicities of {table.name}')
        demand((m.lo, m.hi) == (0, 2 ** 31 - 1), f'the multiplicities of {table.name}')
    demand(sorted(table.mult for table in c.tables) == [k for k, t in enumerate(c.tensors) if t.mult], 'its multiplicities')
    covered = set()
    for lookup in c.lookups:
        demand(0 <= lookup.table < len(c.tables), 'a lookup has no table')
        table = c.tables[lookup.table]
        demand(len(lookup.columns) == len(table.columns), f'a lookup into {table.name}')
        for k, col in zip(lookup.columns, table.columns):
            t = tensor(k)
            demand(t.shape == tensor(lookup.columns[0]).shape and not t.mult, f'a lookup of {t.name}')
            demand(t.kind != WITNESS or t.lo <= min(col) and max(col) <= t.hi, f'the range of {t.name}')
            covered.add(k)
    for k, t in enumerate(c.tensors):
        demand(t.kind != WITNESS or t.mult or k in covered, f'the witness tensor {t.name} is in no lookup')
    for z in c.zeros:
        tensor(z)


# (16.5) how many parameters a hint has, and which are k and w.
PARAMETERS = {RESCALE: 1, CLAMP: 5, LIMBS: 1, TABLE: 2, INVERSE_ROOT: 2, RECIPROCAL: 2, ATTENTION: 6, INPUT: 1, WIDE: 7}
SHIFTS = {RESCALE: [0], CLAMP: [0, 4], LIMBS: [0], TABLE: [], INVERSE_ROOT: [1], RECIPROCAL: [1], ATTENTION: [0, 5], INPUT: [], WIDE: [0, 4, 6]}


def check_hints(c):
    """(16.5)"""
    tensors = range(len(c.tensors))
    witnesses = {k for k in tensors if c.tensors[k].kind == WITNESS and not c.tensors[k].mult}
    for i, h in enumerate(c.hints):
        demand(h.out and (h.ins or h.kind == INPUT), f'hint {i} has no inputs or results')
        demand(all(k in tensors or k == -1 and h.kind == ATTENTION and n == 1 for n, k in enumerate(h.ins)), f'the inputs of hint {i}')
        demand(witnesses.issuperset(h.out), f'the results of hint {i}')
        if h.kind not in PARAMETERS:
            continue
        demand(len(h.params) == PARAMETERS[h.kind], f'the parameters of hint {i}')
        demand(all(0 <= h.params[n] <= 61 for n in SHIFTS[h.kind]), f'the parameters of hint {i}')
        if h.kind in (TABLE, ATTENTION):
            demand(0 <= h.table < len(c.tables), f'the table of hint {i}')
        if h.kind == WIDE:
            demand(1 <= h.params[3] <= len(h.out), f'the digits of hint {i}')
        if h.kind == TABLE:
            demand(0 <= h.params[1] < len(c.tables[h.table].columns), f'the column of hint {i}')
        if h.kind == INPUT:
            demand(not h.ins and len(h.out) == 1 and 0 <= h.params[0] < len(c.ports), f'hint {i} is of no input')
            p = c.ports[h.params[0]]
            demand(not p.out and p.reveal == NOTHING and p.tensor == h.out[0], f'hint {i} is of no private input')


def check_wide(c):
    """(16.1.9)"""
    elsewhere = [k for l in c.lookups for k in l.columns] + c.zeros + [p.tensor for p in c.ports]
    elsewhere += [k for h in c.hints if h.kind not in (RESCALE, CLAMP, WIDE) for k in h.ins]
    for k in elsewhere:
        demand(k < 0 or not is_wide(c.tensors[k]), f'the use of {c.tensors[k].name}')


def check_work(c):
    """(10.7) counts what the evaluations of a proof take. Factors have smaller numbers, so that from the last tensor down all points at
    which one is asked for are known when it is reached. A coordinate is (stage, number); stages are 'half', 'leaf', 'zero' and waves."""
    points, count = [{} for _ in c.tensors], Record(references=0, cells=0, rows=0)

    def ask(k, point):
        count.references += 1
        if point in points[k]:
            return
        points[k][point] = None
        t = c.tensors[k]
        if t.view in (ONE_HOT, ARGMAX_AT, ARGMAX_BELOW):
            count.cells += 8 * box_size(t.shape[:-1]) * (1 + bits(t.shape[-1]))
        elif t.kind in (CONST, PUBLIC):
            count.cells += box_size(t.shape)
        elif t.kind == AFFINE:
            count.cells += affine_work(t)
        elif t.kind in (WEIGHT, WITNESS):
            count.rows += (box_size(t.shape) >> (c.weight_bits if t.kind == WEIGHT else c.witness_bits)) + 1

    def whole(k, stage):
        ask(k, tuple((stage, i) for i in range(variables(c.tensors[k].shape))))
    for k in dict.fromkeys([k for l in c.lookups for k in l.columns] + [table.mult for table in c.tables]):
        whole(k, 'leaf')
    for z in c.zeros:
        whole(z, 'zero')
    for k in reversed(range(len(c.tensors))):
        t = c.tensors[k]
        for point, m in ((point, m) for point in points[k] for m in t.terms):
            labels, _ = label_points(m, point, ('half', 0))
            n = sum(bits(m.extents[l]) for l in m.shared)
            for l in reversed(m.shared):  # the last coordinates of the wave's point, counted from its end
                labels[l] = [(t.wave, n - i) for i in range(bits(m.extents[l]))]
                n -= bits(m.extents[l])
            for f, axes in m.factors:
                ask(f, tuple(factor_point(axes, labels)))
            demand(count.references <= MAX_REFERENCES and count.cells <= MAX_KNOWN_CELLS and count.rows <= MAX_OPENED_ROWS,
                   'proofs about it take too many evaluations')
    demand(count.references <= MAX_REFERENCES and count.cells <= MAX_KNOWN_CELLS and count.rows <= MAX_OPENED_ROWS,
           'proofs about it take too many evaluations')


FAR, WRAP = 1 << 256, 1 << 250


def proven_intervals(c):
    """(16.3) per tensor (least, greatest)."""
    columns, zeros, out = {}, set(c.zeros), []
    for lookup in c.lookups:
        for k, col in zip(lookup.columns, c.tables[lookup.table].columns):
            columns.setdefault(k, []).append((min(col), max(col)))
    for k, t in enumerate(c.tensors):
        if t.kind != VIRTUAL:
            out.append((min(t.values), max(t.values)) if t.kind == CONST else (t.lo, t.hi))
            continue
        terms = [term_interval(m, out) for m in t.terms]
        lo, hi = sum(lo for lo, _ in terms), sum(hi for _, hi in terms)
        if lo < -FAR or hi > FAR:
            lo, hi = -FAR, FAR
        if k in columns or k in zeros:
            demand(-WRAP < lo and hi < WRAP, f'{t.name} may wrap around the field')
        for least, greatest in columns.get(k, ()):
            lo, hi = max(lo, least), min(hi, greatest)
            if lo > hi:
                lo, hi = least, greatest
        out.append((0, 0) if k in zeros else (lo, hi))
    return out


def term_interval(m, proven):
    def times(a, b):
        products = [x * y for x in a for y in b]
        return min(products), max(products)
    n = m.coef
    for l, d in enumerate(m.extents):
        n *= 1 if l in m.in_out else d
    total, i = (1, 1), 0
    while i < len(m.factors):
        lo, hi = proven[m.factors[i][0]]
        if m.factors[i:i + 1] == m.factors[i + 1:i + 2]:  # a square
            total = times(total, (0 if lo <= 0 <= hi else min(lo * lo, hi * hi), max(lo * lo, hi * hi)))
            i += 2
        else:
            total = times(total, (lo, hi))
            i += 1
    return times(total, (n, n))


# Sums of terms are compared by their forms: labels numbered as they occur in the result, then in the factors; any order of factors
# and terms.


def form(m):
    number = {}
    for axes in [m.out] + [axes for _, axes in m.factors]:
        for axis in axes:
            for l in axis:
                number.setdefault(l, len(number))

    def renamed(axes):
        return tuple(tuple(number[l] for l in axis) for axis in axes)
    extents = tuple(m.extents[l] for l in sorted(number, key=number.get))
    return m.coef, extents, renamed(m.out), tuple(sorted((f, renamed(axes)) for f, axes in m.factors))


def forms(terms):
    return sorted(form(m) for m in terms)


def term(coef, shape, out, *factors):
    """coef·Π factors with a label per axis: those of shape. out and each factor (tensor, labels) list theirs."""
    return Record(coef=coef, extents=shape, out=[[l] for l in out], factors=[(f, [[l] for l in labels]) for f, labels in factors])


def check_bound_ports(c):
    """(16.4)"""
    used, said = dependence(c, [k for l in c.lookups for k in l.columns] + c.zeros), claimed(c)
    for i, p in enumerate(c.ports):
        t = c.tensors[p.tensor]
        if p.out:
            demand(p.reveal == NOTHING or output_bound(c, i, p), f'nothing ties output {p.name} to what is told of it')
            demand(p.reveal == NOTHING or c.generation or p.tensor not in said, f'output {p.name} is made of what is told of outputs')
        elif p.reveal == NOTHING:
            lo, hi = (0, 1) if p.kind == IDS else (p.lo, p.hi)
            demand(t.kind == WITNESS and not t.mult and lo <= t.lo and t.hi <= hi, f'the tensor of private input {p.name}')
            demand(p.kind != IDS or ids_bound(c, i, p), f'the private ids of {p.name} are not bound')
        else:
            view = ONE_HOT if p.kind == IDS else PORT_VALUES
            demand((t.kind, t.view, t.port) == (PUBLIC, view, i) and p.tensor in used, f'public input {p.name} is not bound')
    carriers = [p.tensor for p in c.ports if not p.out]
    demand(len(set(carriers)) == len(carriers), 'two inputs have one tensor')


def dependence(c, start):
    """The tensors that these are computed from by terms, and they themselves."""
    found = set(start)
    for k in reversed(range(len(c.tensors))):
        if k in found:
            found.update(f for m in c.tensors[k].terms if m.coef for f, _ in m.factors)
    return found


def claimed(c):
    """(16.4.4) the tensors that views of outputs go into, by terms or hints."""
    found, more = set(), {k for k, t in enumerate(c.tensors) if t.kind == PUBLIC and c.ports[t.port].out}
    while more - found:
        found |= more
        more = {k for k, t in enumerate(c.tensors) if any(f in found for m in t.terms for f, _ in m.factors)}
        more.update(k for h in c.hints if found.intersection(h.ins) for k in h.out)
    return found


def views(c, view, port):
    return [k for k, t in enumerate(c.tensors) if t.kind == PUBLIC and (t.view, t.port) == (view, port)]


def zero_checked(c, *terms):
    return any(forms(c.tensors[z].terms) == forms(terms) for z in c.zeros)


def ids_bound(c, i, p):
    """(16.4.2) rows of private ids are one-hot, and in a generation those of the answer are the public ones."""
    shape = c.tensors[p.tensor].shape
    axes = range(len(shape))
    if not zero_checked(c, term(1, shape, axes[:-1], (p.tensor, axes)), term(-1, p.shape, axes[:-1])):
        return False
    return not c.generation or any(
        zero_checked(c, term(1, shape, axes, (known, [0]), (p.tensor, axes)), term(-1, shape, axes, (known, [0]), (public, axes)))
        for known in views(c, KNOWN, i) for public in views(c, ONE_HOT, i))


def output_bound(c, i, p):
    """(16.4.4)"""
    committed = any(t.kind == WEIGHT or t.kind == WITNESS and not t.mult for t in (c.tensors[k] for k in dependence(c, [p.tensor])))
    axes = range(len(p.shape))
    selections = [[(a, [0])] for a in views(c, SELECTED, i)] if c.generation else [[]]
    if p.reveal == VALUES:
        return committed and any(
            zero_checked(c, term(1, p.shape, axes, *a, (p.tensor, axes)), term(-1, p.shape, axes, (told, axes)))
            for a in selections for told in views(c, PORT_VALUES, i))
    rows = axes[:-1]
    told = [term(-1, p.shape, axes, (below, axes)) for below in views(c, ARGMAX_BELOW, i)]
    wanted = [forms([term(1, p.shape, axes, (best, rows)), term(-1, p.shape, axes, *a, (p.tensor, axes)), below])
              for at in views(c, ARGMAX_AT, i) for below in told for a in selections
              for best in tensors_of(c, term(1, p.shape, rows, (at, axes), (p.tensor, axes)))]
    gaps = (without_limbs(c, l.columns[0]) for l in c.lookups if len(l.columns) == 1 and min(c.tables[l.table].columns[0]) >= 0)
    return committed and any(gap in wanted for gap in gaps)


def tensors_of(c, *terms):
    """The virtual tensors that are exactly this sum."""
    return [k for k, t in enumerate(c.tensors) if t.kind == VIRTUAL and forms(t.terms) == forms(terms)]


def limb(c, t, m):
    """Whether a term of t is a multiple of a witness w ≥ 0, cell by cell."""
    axes = range(len(t.shape))
    return len(m.factors) == 1 and form(m) == form(term(m.coef, t.shape, axes, (m.factors[0][0], axes))) and is_natural(c, m.factors[0][0])


def is_natural(c, k):
    return c.tensors[k].kind == WITNESS and c.tensors[k].lo >= 0


def without_limbs(c, k):
    """(16.4.4) the forms of a tensor without the multiples of witnesses ≥ 0 that it is lessened by; if one virtual tensor is left, its."""
    t = c.tensors[k]
    rest = [m for m in t.terms if not (m.coef < 0 and limb(c, t, m))]
    if len(rest) == 1 and len(rest[0].factors) == 1:
        gap, axes = rest[0].factors[0][0], range(len(t.shape))
        if c.tensors[gap].kind == VIRTUAL and form(rest[0]) == form(term(1, t.shape, axes, (gap, axes))):
            rest = c.tensors[gap].terms
    return forms(rest)


def check_causal(c, proven):
    """(16.6)"""
    a = Causality(c, proven)
    a.run()
    late = a.times[c.output.tensor]
    demand(not isinstance(late, str), f'it is a generation and not causal: {late}')
    demand(late <= {0}, 'it is a generation and not causal: columns of its output run over positions')


def whole(axes):
    """(16.6) the axes that are one label, by label."""
    return {labels[0]: axis for axis, labels in enumerate(axes) if len(labels) == 1}


MAX_VISITED, MAX_DEPTH, MAX_CELLS = 1 << 18, 1 << 8, 1 << 24  # limits of this auditor's work


class Causality:
    """(16.6) times holds, per tensor, the set of its time axes, or a text: it is late, and why. -1 stands for no owner."""

    def __init__(self, c, proven):
        self.c, self.proven = c, proven
        self.times, self.lower_in = [None] * len(c.tensors), {}
        self.excused, self.divisions = set(), set()  # what rule 7 does not look at: lookups, and virtual tensors besides claims
        self.visited = self.cells = 0
        self.columns = {}  # per tensor: (lookup, column of the table)
        for n, l in enumerate(c.lookups):
            for k, col in zip(l.columns, c.tables[l.table].columns):
                self.columns.setdefault(k, []).append((n, col))
        self.find_claims()
        self.find_owners()

    def refuse(self, condition, what):
        demand(condition, 'it is a generation and not causal: ' + what)

    def find_claims(self):
        """(16.6.2)"""
        c, claims = self.c, set()
        i, o, out = c.ports.index(c.input), c.ports.index(c.output), c.output.tensor
        t, tv = [0], [0, 1]

        def over(axes, coef, *factors):
            return term(coef, c.output.shape, axes, *factors)
        self.tokens = views(c, ONE_HOT, i) if c.input.reveal != NOTHING else []
        private = [h.out[0] for h in c.hints if h.kind == INPUT]
        best = {k for at in views(c, ARGMAX_AT, o) for k in tensors_of(c, over(t, 1, (at, tv), (out, tv)))}
        claims.update(best)
        for a in views(c, SELECTED, o):
            for k, less in ((k, less) for k in best for less in views(c, ARGMAX_BELOW, o)):
                claims.update(tensors_of(c, over(tv, 1, (k, t)), over(tv, -1, (a, t), (out, tv)), over(tv, -1, (less, tv))))
            for logits in views(c, PORT_VALUES, o):
                claims.update(tensors_of(c, over(tv, 1, (a, t), (out, tv)), over(tv, -1, (logits, tv))))
        for known in views(c, KNOWN, i):
            for tokens, public in ((tokens, public) for tokens in private for public in views(c, ONE_HOT, i)):
                claims.update(tensors_of(c, over(tv, 1, (known, t), (tokens, tv)), over(tv, -1, (known, t), (public, tv))))
        self.claims = claims
        told = {k for k, x in enumerate(c.tensors) if x.kind == PUBLIC and k not in self.tokens}
        uses = {f for k, x in enumerate(c.tensors) if k not in claims for m in x.terms for f, _ in m.factors}
        uses.update(c.zeros, *(l.columns for l in c.lookups))
        self.refuse(not told & uses, 'something but a gadget uses what the statement claims')

    def find_owners(self):
        """The owners; the virtual tensors by owner; the constraints by the owner that they are about."""
        c, yields = self.c, {}
        for n, h in enumerate(c.hints):
            for k in h.out:
                yields.setdefault(k, []).append(n)
        self.owner = []
        self.owned, self.about = {}, {}
        for k, t in enumerate(c.tensors):
            if t.kind == VIRTUAL:
                owner = max((self.owner[f] for m in t.terms for f, _ in m.factors), default=-1) if k not in self.claims else -1
                self.owned.setdefault(owner, []).append(k)
            else:
                owner = yields[k][0] if len(yields.get(k, ())) == 1 else -1
            self.owner.append(owner)
        constraints = [(l.columns, n) for n, l in enumerate(c.lookups)] + [([z], None) for z in c.zeros]
        constraints += [(h.ins[:1], None) for h in c.hints if h.kind == LIMBS]
        for tensors, lookup in constraints:
            self.about.setdefault(max(self.owner[k] for k in tensors), []).append((tensors, lookup))

    def run(self):
        c = self.c
        for k, t in enumerate(c.tensors):  # (16.6.1)
            if k in self.tokens:
                self.times[k] = frozenset([0])
            elif t.kind in (WEIGHT, CONST, AFFINE):
                self.times[k] = frozenset()
            elif t.kind == WITNESS:
                self.times[k] = f'{t.name} is not the result of one hint'
            elif t.kind == PUBLIC:
                self.times[k] = f'{t.name} is what the statement claims'
        for k in self.owned.get(-1, ()):
            self.times[k] = self.virtual(k)
        for n, h in enumerate(c.hints):
            self.hint(n, h)
            for k in self.owned.get(n, ()):
                self.times[k] = self.virtual(k)
            for tensors, lookup in self.about.get(n, ()):
                if lookup is None or lookup not in self.excused:
                    self.constraint(h, tensors)

    def virtual(self, k):
        """(16.6.3)"""
        t, axes = self.c.tensors[k], set()
        if k in self.claims:
            return f'{t.name} is what the statement claims'
        for m in t.terms:
            out = whole(m.out)
            for f, labels in m.factors:
                time = self.times[f]
                if isinstance(time, str):
                    return time
                for along in (labels[axis] for axis in time if self.c.tensors[f].shape[axis] > 1):
                    axis = out.get(along[0], self.bounding(m, along[0], out)) if len(along) == 1 else None
                    if axis is None:
                        return f'{t.name} sums {self.c.tensors[f].name} over positions, or splits or merges them'
                    axes.add(axis)
        return frozenset(axes)

    def bounding(self, m, label, out):
        """(16.6.3) the result's axis that bounds a label, by a factor that is zero beyond it; None if there is none."""
        for f, axes in m.factors:
            labels = whole(axes)
            for row in labels:
                if row != label and label in labels and row in out and self.lower(f, labels[row], labels[label], 0):
                    return out[row]
        return None

    def lower(self, k, r, c, depth):
        """(16.6.4)"""
        key = k, r, c
        if key not in self.lower_in:
            if depth > MAX_DEPTH:
                return False
            t = self.c.tensors[k]
            is_lower = False
            if t.kind == CONST:
                is_lower = self.lower_cells(t, r, c)
            elif t.kind == AFFINE:
                is_lower = self.lower_equation(t, r, c)
            elif t.kind == VIRTUAL:
                is_lower = all(self.lower_term(m, r, c, depth) for m in t.terms)
            elif t.kind == WITNESS and self.owner[k] >= 0:
                h = self.c.hints[self.owner[k]]
                is_lower = self.keeps_zero(h, k) and self.c.tensors[h.ins[0]].shape == t.shape and self.lower(h.ins[0], r, c, depth + 1)
            self.lower_in[key] = is_lower
        return self.lower_in[key]

    def look(self, n):
        self.cells += n
        return self.cells <= MAX_CELLS

    def lower_cells(self, t, r, c):
        def index(i, axis):
            return i // box_size(t.shape[axis + 1:]) % t.shape[axis]
        return self.look(len(t.values)) and not any(v and index(i, c) > index(i, r) for i, v in enumerate(t.values))

    def lower_equation(self, t, r, c):
        """For every choice of the other indices the one on axis c is solved for."""
        if not self.look(box_size(t.shape) // t.shape[c]):
            return False
        sums = [(t.values[0], 0)]  # of all axes but c, with the index on r
        for axis, (stride, d) in enumerate(zip(t.values[1:], t.shape)):
            if axis != c:
                sums = [(s + stride * x, x if axis == r else row) for s, row in sums for x in range(d)]
        stride, end = t.values[1 + c], t.shape[c]
        if stride == 0:
            return not any(s == 0 and end - 1 > row for s, row in sums)
        return not any(s % stride == 0 and row < -s // stride < end for s, row in sums)

    def lower_term(self, m, r, c, depth):
        if len(m.out[r]) != 1 or len(m.out[c]) != 1:
            return False
        row, col = m.out[r][0], m.out[c][0]
        factors = ((f, whole(axes)) for f, axes in m.factors)
        return any(row in labels and col in labels and self.lower(f, labels[row], labels[col], depth + 1) for f, labels in factors)

    def keeps_zero(self, h, k):
        if h.kind == CLAMP:
            return k == h.out[0] and h.params[1] <= 0 <= h.params[2]
        if h.kind == WIDE:
            return k in h.out[:h.params[3]] and h.params[1] <= 0 <= h.params[2]
        if h.kind == TABLE:
            first, column = h.params
            col = self.c.tables[h.table].columns[column]
            return 0 <= -first < len(col) and col[-first] == 0
        return h.kind == RESCALE

    def hint(self, n, h):
        """(16.6.5)"""
        name = self.c.tensors[h.out[0]].name
        first = self.times[h.ins[0]] if h.ins else None
        if any(k >= 0 and self.owner[k] >= n for k in h.ins):
            self.set(n, h.out, f'{name} is made from what comes later')
        elif h.kind == INPUT:
            only = self.c.input.reveal == NOTHING and sum(other.kind == INPUT for other in self.c.hints) == 1
            self.set(n, h.out, frozenset([0]) if only else f'{name} is not the one private input')
        elif h.kind == ATTENTION:
            self.attention(n, h)
        elif h.kind not in PARAMETERS:
            self.set(n, h.out, f'the hint of {name} is unknown')
        else:
            shape = self.c.tensors[h.ins[0]].shape
            for k in h.out:
                t = self.c.tensors[k]
                fits = isinstance(first, str) or t.shape == shape
                self.set(n, [k], first if fits else f'{t.name} has other axes than what it is made from')

    def set(self, n, tensors, time):
        for k in tensors:
            if self.owner[k] == n:
                self.times[k] = time

    def attention(self, n, h):
        """(16.6.6)"""
        t, name = self.c.tensors, self.c.tensors[h.out[0]].name
        why = self.attention_parts(n, h)
        if why:
            self.set(n, h.out, f'{name}: {why}')
            return
        s, rank = h.ins[0], len(t[h.ins[0]].shape)
        *limbs, dlo, u, e, zu, zd = h.out
        row, col = rank - 2, rank - 1
        near = self.times[s]
        if col in near:
            why = self.mask_stands(h) or self.attention_stands(h)
            if why:
                self.set(n, h.out, f'{name}: {why}')
                return
            near = near | {row}
            self.lower_in.update({(k, row, col): True for k in (e, zu, zd)})
        self.set(n, [dlo, u], near)
        self.set(n, [*limbs, e, zu, zd], near - {col})

    def attention_parts(self, n, h):
        """What of zkAttn is not as its gadget makes it, None if nothing is missing."""
        t = self.c.tensors
        if len(h.ins) != 2 or h.params[4] < 1 or len(h.out) != h.params[4] + 5 or len(self.c.tables[h.table].columns) != 4:
            return 'it has other parts'
        k, b, offset = h.params[:3]
        s = t[h.ins[0]]
        if b < 1 or k + b > 61 or offset < 0 or offset << k >= 1 << 61 or len(s.shape) < 2:
            return 'its parameters'
        if any(t[x].shape != (s.shape if i >= h.params[4] else s.shape[:-1]) for i, x in enumerate(h.out)):
            return 'its results have other shapes'
        if any(self.owner[x] != n for x in h.out):
            return 'other hints yield its results too'
        if isinstance(self.times[h.ins[0]], str):
            return self.times[h.ins[0]]
        if h.ins[1] >= 0 and self.times[h.ins[1]] != frozenset():
            return 'its mask depends on tokens'
        return None

    def mask_stands(self, h):
        """Why a row may see columns behind its index, None if it does not."""
        s = self.c.tensors[h.ins[0]]
        if h.ins[1] < 0 or self.c.tensors[h.ins[1]].kind != CONST:
            return 'there is no constant mask'
        mask = self.c.tensors[h.ins[1]]
        rank = len(mask.shape)
        if rank < 2 or mask.shape != s.shape[-rank:]:
            return 'its mask has no row per row'
        rows, n = mask.shape[-2:]
        if any(v not in (0, 1) or v == 0 and i % n > i // n % rows for i, v in enumerate(mask.values)):
            return 'its mask leaves later positions open'
        k, b, offset, lo = h.params[:4]
        if lo + offset - (self.proven[h.ins[0]][1] + (1 << k >> 1) >> k) < 1 << b:
            return 'a masked distance may be one that is exponentiated'
        return None

    def attention_stands(self, h):
        """Which constraint of zkAttn is not there, None if all are. Notes what rule 7 leaves out."""
        c, (k, b, offset, lo) = self.c, h.params[:4]
        *limbs, dlo, u, e, zu, zd = h.out
        near = [n for n, l in enumerate(c.lookups) if l.table == h.table and l.columns == [dlo, e, zu, zd]
                and all(d < 1 << b and (z or x == y == 0) for d, x, z, y in zip(*c.tables[l.table].columns))]
        far = [n for n, l in enumerate(c.lookups) if l.columns == [u, zu]
               and all(d == 0 or z == 0 for d, z in zip(*c.tables[l.table].columns))]
        if not near or not far:
            return 'its tables count a far distance'
        shape = c.tensors[h.ins[0]].shape
        axes = range(len(shape))
        attained = tensors_of(c, term(1, shape, axes[:-1], (zd, axes)), term(-1, shape[:-1], axes[:-1]))
        if not any(self.kept(x, None) for x in attained):
            return 'nothing says that its maximum is attained'
        mask = c.tensors[h.ins[1]]
        wanted = [term(1, shape, axes, (h.ins[0], axes)), term(-offset << k, shape, axes, (h.ins[1], axes[-len(mask.shape):])),
                  term(1 << k, shape, axes, (dlo, axes)), term(1 << k + b, shape, axes, (u, axes))]
        half = form(term(1 << k >> 1, shape, axes))
        uses = {x for x, t in enumerate(c.tensors) if t.shape == shape for m in t.terms for f, _ in m.factors if f == dlo}
        for x in sorted(uses, reverse=True):
            got = forms(c.tensors[x].terms)
            if half in got:
                got.remove(half)
            maxima = {f for m in c.tensors[x].terms for f, _ in m.factors if self.is_maximum(f, limbs, lo)}
            divisions = [forms(wanted + [term(-1 << k, shape, axes, (top, axes[:-1]))]) for top in maxima]
            if got in divisions and self.kept(x, 1 << k):
                self.divisions.add(x)
                self.excused.update([near[-1], far[-1]])
                return None
        return 'its division does not add the mask'

    def is_maximum(self, k, limbs, lo):
        """Whether a tensor is lo plus positive multiples of all limbs."""
        t = self.c.tensors[k]
        if t.kind != VIRTUAL or t.shape != self.c.tensors[limbs[0]].shape:
            return False
        constants = [m.coef for m in t.terms if not m.factors]
        rest = [m for m in t.terms if m.factors]
        used = [m.factors[0][0] for m in rest if m.coef > 0 and limb(self.c, t, m)]
        return len(used) == len(rest) and sorted(used) == sorted(limbs) and (constants == [lo] or not constants and lo == 0)

    def kept(self, k, end):
        """(16.6.6) whether constraints keep a virtual tensor in [0, end), or from being negative if there is no end."""
        def inside(least, greatest):
            return least >= 0 and (end is None or greatest < end)
        if k in self.c.zeros or any(inside(min(col), max(col)) for _, col in self.columns.get(k, ())):
            return True
        for low, columns in self.columns.items():
            t = self.c.tensors[low]
            axes = range(len(t.shape))
            itself = form(term(1, t.shape, axes, (k, axes)))
            rest = [m for m in t.terms if form(m) != itself]
            if len(rest) == len(t.terms) - 1 and all(m.coef <= 0 and limb(self.c, t, m) for m in rest):
                above = sum(-m.coef * self.c.tensors[m.factors[0][0]].hi for m in rest)
                if any(inside(min(col), max(col) + above) for _, col in columns):
                    return True
        return False

    def constraint(self, h, tensors):
        """(16.6.7)"""
        times = [self.times[k] for k in tensors]
        late = next((time for time in times if isinstance(time, str)), None)
        inputs = [] if late else h.ins[:{ATTENTION: 2, INPUT: 0}.get(h.kind, 1 if h.kind in PARAMETERS else 0)]
        axes = tuple(range(len(self.c.tensors[tensors[0]].shape)))
        stack, seen = [(k, axes) for k in tensors], set()
        while stack:
            key = k, along = stack.pop()
            t = self.c.tensors[k]
            if key in seen or self.owner[k] < 0 or k in self.claims or k in self.divisions or k in inputs and k not in h.out:
                continue
            seen.add(key)
            self.visited += 1
            self.refuse(self.visited <= MAX_VISITED, 'too much goes into its constraints')
            if t.kind == WITNESS:
                time = self.times[k]
                known = isinstance(time, str) or late is None and frozenset().union(*times) <= {along[axis] for axis in time}
                self.refuse(known, f'{self.c.tensors[tensors[0]].name} constrains {t.name} and depends on later positions')
            for m in t.terms:
                out = whole(m.out)
                for f, axes in m.factors:
                    stack.append((f, tuple(along[out[a[0]]] if len(a) == 1 and a[0] in out else None for a in axes)))


# --- Command line ----------------------------------------------------------------------------------------------------------------


def read(path):
    with open(path, 'rb') as f:
        return f.read()


def parse_arguments(args):
    p = argparse.ArgumentParser(description='Audit a circuit, and verify a key, and a proof, of zkllmc. '
                                'Exit codes: 0 accepted, 1 rejected, 2 usage, 3 unreadable.')
    p.add_argument('--circuit', required=True, nargs='+', metavar='FILE',
                   help='canonical encoding of the circuit, or of several for a family, the shortest first; what it is for is yours to see to')
    p.add_argument('--vk', metavar='FILE', help='verifying key; its range proof is verified unless --pin is given')
    p.add_argument('--statement', metavar='FILE')
    p.add_argument('--proof', metavar='FILE')
    p.add_argument('--pin', metavar='HEX', help='ID of the model that you trust, from an earlier run without --pin')
    p.add_argument('--generators', metavar='FILE', help='read generators from a file that only you can write; a random sample is checked')
    p.add_argument('--save-generators', metavar='FILE', help='write all generators of this run, in the format that the README says')
    p.add_argument('--trace', metavar='FILE', help='write every operation of the transcripts, one a line')
    a = p.parse_args(args)
    if (a.statement is None) != (a.proof is None):
        p.error('--statement and --proof belong together')
    if a.vk is None and (a.proof or a.pin):
        p.error('--statement, --proof and --pin need --vk')
    try:
        a.pin = None if a.pin is None else bytes.fromhex(a.pin)
    except ValueError:
        p.error('--pin takes 64 hexadecimal digits')
    return a


def run(a):
    generators, trace = Generators(), [] if a.trace else None
    if a.generators:
        generators.load(read(a.generators))
    f = read_family([read(name) for name in a.circuit])
    for c in f.members:
        print('circuit', c.digest.hex())
    if len(f.members) > 1:
        print('family ', f.digest.hex())
    files = [read(name) for name in (a.vk, a.statement, a.proof) if name]
    try:
        if a.vk:
            model, identity = accept_key(f, files[0], a.pin, generators, trace)
            print('model  ', identity.hex())
        if a.proof:
            accept_proof(f, model, identity, *files[1:], generators, trace)
    finally:  # a trace is of use above all where a proof is rejected
        if a.trace:
            with open(a.trace, 'w', encoding='utf-8', newline='\n') as f:
                f.write(''.join(line + '\n' for line in trace))
        if a.save_generators:
            with open(a.save_generators, 'wb') as f:
                f.write(generators.dump())


def main(args):
    a = parse_arguments(args)
    try:
        run(a)
    except Reject as err:
        print('rejected:', err)
        return 1
    except (Unreadable, OSError) as err:
        print('unreadable:', err, file=sys.stderr)
        return 3
    except Exception as err:  # an uncaught one would leave with 1, which means rejected
        print(f'a defect of this verifier: {type(err).__name__}: {err}', file=sys.stderr)
        return 4
    print('accepted')
    return 0


if __name__ == '__main__':
    sys.exit(main(sys.argv[1:]))

"""The exercises of chapter 11: a quantizer, a codebook that follows, the nucleus, a row in bits, a cache."""

from math import log

import torch
from torch import Tensor
from torch.nn import functional as F

from course import budget
from course.exercises.checking import Exercise, close, holds, same
from course.generation.tokens import keep_top_p
from course.layers.attention import attention
from course.layers.position import rotate
from course.layers.quantization import nearest_code, straight_through


def _quantize(vectors: Tensor, codebook: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    tokens = nearest_code(vectors, codebook)
    codes = codebook[tokens].detach()
    return straight_through(vectors, codes), tokens, F.mse_loss(vectors, codes)


def _parts(result: object, names: tuple[str, ...]) -> tuple[object, ...]:
    """Raise unless there are as many results as names; return them."""
    wanted = f"{', '.join(names[:-1])} and {names[-1]}"
    holds(
        isinstance(result, tuple | list) and len(result) == len(names),
        f"the result is a {type(result).__name__}"
        f"{f' of {len(result)}' if isinstance(result, tuple | list) else ''}, wanted {wanted}.",
    )
    return tuple(result)


def _quantizer(answer: object) -> None:
    chance = budget.generator(0)
    for size, K, D in (((3, 3), 3, 3), ((2, 4, 5), 7, 3), ((4,), 4, 4)):
        vectors = torch.randn(*size, D, generator=chance)
        codebook = torch.randn(K, D, generator=chance) * torch.linspace(0.5, 3.0, K)[:, None]  # of all lengths
        vectors.requires_grad_()
        codebook.requires_grad_()
        through, tokens, commitment = _parts(answer(vectors, codebook), ("codes", "tokens", "the commitment"))
        far = (vectors[..., None, :] - codebook).square().sum(dim=-1).detach()  # (..., K)
        wanted = far.argmin(dim=-1)
        codes = codebook.detach()[wanted]
        usual = {
            "these are the farthest codes: the nearest is wanted": far.argmax(dim=-1),
            "the largest product was taken: a long code wins by its length; take the smallest distance": (
                vectors @ codebook.T
            ).argmax(dim=-1),
            "distances are summed without a square: differences cancel": (vectors[..., None, :] - codebook)
            .sum(dim=-1)
            .argmin(dim=-1),
        }
        if len(size) == 1 and size[0] == K:
            usual["for each code the nearest vector was found: wanted is the nearest code of each vector"] = far.argmin(
                dim=0
            )
        if isinstance(tokens, Tensor) and tokens.shape == (*wanted.shape, 1):
            holds(
                False, f"the tokens have shape {tuple(tokens.shape)}, wanted {tuple(wanted.shape)}: no last dimension."
            )
        same(
            tokens,
            wanted,
            what="the tokens",
            usual={words: value for words, value in usual.items() if not torch.equal(value, wanted)},
            look="the square of vector - code, summed over the last dimension, and argmin over the codes",
        )
        same(
            through.detach() if isinstance(through, Tensor) else through,
            codes,
            what="what the tokens stand for",
            usual={"the vectors came back as they were: forward they are rounded": vectors.detach()},
            look="the codes at the tokens' places in the codebook",
        )
        weight = torch.randn(through.shape, generator=chance)
        slope, moved = _gradients(through, weight, vectors, codebook)
        holds(
            slope is not None and bool(slope.any()),
            "no gradient comes to the vectors. Without detach they cancel, forward and backward: vectors + "
            "(codes - vectors).detach().",
        )
        holds(
            torch.allclose(slope, weight, atol=1e-5),
            "another gradient comes to the vectors than to what came back: it is to be handed straight through.",
        )
        holds(
            moved is None or not bool(moved.any()),
            "a gradient comes to the codebook through what came back: detach the difference as a whole.",
        )
        difference = vectors.detach() - codes
        usual = {
            "the commitment is summed over everything: wanted the mean": difference.square().sum().item(),
            "the commitment is summed over the last dimension: wanted the mean over everything": (
                difference.square().sum(dim=-1).mean().item()
            ),
            "the commitment is an absolute difference: wanted the squared one": difference.abs().mean().item(),
            "the commitment is a root: wanted the mean squared difference": difference.square().mean().sqrt().item(),
            "the commitment is 0: it was measured from what came back, not from the vectors": 0.0,
        }
        due = difference.square().mean().item()
        close(
            commitment,
            due,
            what="the commitment",
            usual={words: value for words, value in usual.items() if abs(value - due) > 1e-3},
            look="the mean of (vectors - codes) squared",
        )
        holds(
            isinstance(commitment, Tensor) and commitment.requires_grad,
            "no gradient comes from the commitment: return a tensor that depends on the vectors.",
        )
        slope, moved = _gradients(commitment, torch.ones(()), vectors, codebook)
        holds(
            slope is not None and bool(slope.any()),
            "the commitment sends no gradient to the vectors, and they are what has to come nearer: detach the codes, "
            "not the vectors.",
        )
        holds(
            moved is None or not bool(moved.any()),
            "the commitment sends a gradient to the codebook: nothing moves it here; detach the codes.",
        )
        holds(
            torch.allclose(slope, 2 * difference / difference.numel(), atol=1e-5),
            "the commitment's gradient is not that of the mean squared difference.",
        )


def _gradients(result: Tensor, weight: Tensor, *of: Tensor) -> tuple[Tensor | None, ...]:
    if not result.requires_grad:
        return (None,) * len(of)
    return torch.autograd.grad((result * weight).sum(), of, retain_graph=True, allow_unused=True)


def _follow(
    codebook: Tensor,
    counts: Tensor,
    totals: Tensor,
    vectors: Tensor,
    tokens: Tensor,
    decay: float,
    *,
    dead: str = "stay",
) -> tuple[Tensor, Tensor, Tensor]:
    chosen = F.one_hot(tokens, len(codebook)).to(vectors)  # (N, K)
    counts = decay * counts + (1 - decay) * chosen.sum(dim=0)
    totals = decay * totals + (1 - decay) * chosen.T @ vectors
    alive = counts[:, None] > 0
    means = totals / counts[:, None].where(alive, torch.ones(()))
    return means.where(alive, codebook if dead == "stay" else torch.zeros(())), counts, totals


def _follows(answer: object) -> None:
    chance = budget.generator(1)
    names = ("the codebook", "counts", "totals")
    for K, D, N, decay in ((4, 4, 4, 0.9), (6, 2, 15, 0.75), (5, 3, 9, 0.0)):
        codebook = torch.randn(K, D, generator=chance)
        counts = torch.rand(K, generator=chance) * 3 + 0.5
        totals = torch.randn(K, D, generator=chance)
        vectors = torch.randn(N, D, generator=chance)
        tokens = torch.randint(K - 1, (N,), generator=chance)  # the last code is not chosen
        if decay:
            counts[1], totals[1] = 0.0, 0.0
            tokens[tokens == 1] = 0  # a code of which nothing was ever seen
        given = codebook, counts, totals, vectors, tokens
        now = F.one_hot(tokens, K).float().sum(dim=0)
        sums = F.one_hot(tokens, K).float().T @ vectors
        book, many, sum_of = _parts(answer(*(one.clone() for one in given), decay), names)
        wanted = _follow(*given, decay)
        swapped = _follow(*given, 1 - decay)
        lerped = decay * counts + (1 - decay) * now / N

        usual = {
            "the counts are as they were: they are to follow": counts,
            "these are the counts of this batch alone: the old ones keep a share": now,
            "decay is what the *old* average keeps: the two shares are exchanged": swapped[1],
            "the new counts were added in full: they get a share of 1 - decay": decay * counts + now,
            "the counts of the batch were divided by its size: count the vectors": lerped,
            "old and new counts were added, and nothing forgets": counts + now,
        }
        _same(many, wanted[1], "the counts", usual)
        usual = {
            "the totals are as they were: they are to follow": totals,
            "decay is what the *old* average keeps: the two shares of the totals are exchanged": swapped[2],
            "the new totals were added in full: they get a share of 1 - decay": decay * totals + sums,
            "the totals of this batch alone: the old ones keep a share": sums,
            "means were averaged in place of sums: a total is the sum of the vectors that chose the code": (
                decay * totals + (1 - decay) * sums / now.clamp(min=1)[:, None]
            ),
            "the totals sum the codes, not the vectors": decay * totals + (1 - decay) * now[:, None] * codebook,
        }
        _same(sum_of, wanted[2], "the totals", usual)
        if isinstance(book, Tensor):
            holds(
                bool(book.isfinite().all()),
                "a code became infinite or not a number: where the count is 0 there is nothing to divide by, and the "
                "code stays where it is.",
            )
        batch_mean = sums / now.clamp(min=1)[:, None]
        usual = {
            "the codebook never moves: the new code is total over count": codebook,
            "codes whose count is 0 went to zero: they stay where they are": _follow(*given, decay, dead="zero")[0],
            "codes went to the means of this batch: the code is the quotient of the two averages": batch_mean.where(
                now[:, None] > 0, codebook
            ),
            "the code moved a share of the way to the mean of the batch: the code is total over count": (
                codebook.lerp(batch_mean, 1 - decay).where(now[:, None] > 0, codebook)
            ),
            "codes that this batch did not choose stayed: their count and total have shrunk alike, and the code is the "
            "quotient all the same": wanted[0].where(now[:, None] > 0, codebook),
            "the old averages were divided: divide the new ones": (totals / counts.clamp(min=1e-9)[:, None]).where(
                counts[:, None] > 0, codebook
            ),
            "totals were divided by the number of vectors: by each code's own count": wanted[2] / N,
        }
        _same(book, wanted[0], "the codebook", usual)


def _same(got: object, wanted: Tensor, what: str, usual: dict[str, Tensor]) -> None:
    different = {words: value for words, value in usual.items() if not torch.allclose(value, wanted, atol=1e-4)}
    same(
        got,
        wanted,
        what=what,
        usual=different,
        look="keep decay of the old average, add 1 - decay of the new number, then divide total by count",
    )


def _nucleus(probabilities: Tensor, p: float) -> Tensor:
    return keep_top_p(probabilities.log(), p).softmax(dim=-1)


def _kept(probabilities: Tensor, p: float, *, rule: str = "right") -> Tensor:
    """Keep a nucleus, right or with one of the usual mistakes."""
    ordered, order = probabilities.sort(dim=-1, descending=rule != "ascending")
    upto = ordered.cumsum(dim=-1)
    before = upto - ordered
    keep = {
        "too few": upto <= p,
        "too many": before <= p,
        "one more": (before - ordered.roll(1, dims=-1)) < p,
        "each": ordered >= 1 - p,
        "above": ordered >= p,
    }.get(rule, before < p)
    if rule == "too few":
        keep[..., 0] = True
    ordered = ordered * keep
    kept = ordered if rule == "in order" else torch.zeros_like(probabilities).scatter(-1, order, ordered)
    return kept if rule == "no sum" else kept / kept.sum(dim=-1, keepdim=True).clamp(min=1e-9)


def _nuclei(answer: object) -> None:
    exact = torch.tensor([[0.125, 0.5, 0.25, 0.125], [0.25, 0.25, 0.125, 0.375]])
    random = torch.randn(2, 3, 7, generator=budget.generator(2)).mul(1.5).softmax(dim=-1)
    sure = torch.tensor([0.02, 0.95, 0.03])
    even = torch.tensor([[0.16, 0.22, 0.14, 0.2, 0.12, 0.16], [0.2, 0.12, 0.16, 0.14, 0.16, 0.22]])
    cases = [
        (even, 0.5),
        (exact, 0.7),
        (exact, 0.5),
        (random, 0.8),
        (random, 0.55),
        (sure, 0.5),
        (random, 1.0),
        (exact, 0.01),
    ]
    for probabilities, p in cases:
        wanted = _kept(probabilities, p)
        usual = {
            f"the token that brings the sum to {p:g} is missing, one too few: together they must have *at least* p": (
                _kept(probabilities, p, rule="too few")
            ),
            "one too many: once those before have p together, nothing more is needed": _kept(
                probabilities, p, rule="too many"
            ),
            "one more than needed is kept": _kept(probabilities, p, rule="one more"),
            "the rows do not sum to 1 any more: divide by what is left": _kept(probabilities, p, rule="no sum"),
            "the tokens stand in the order of their probabilities: put them back to their places": _kept(
                probabilities, p, rule="in order"
            ),
            "the least likely were kept: begin with the likeliest": _kept(probabilities, p, rule="ascending"),
            "each probability was compared with p by itself: it is their *sum* that counts": _kept(
                probabilities, p, rule="above"
            ),
            "each probability was compared with 1 - p by itself: it is their *sum* that counts": _kept(
                probabilities, p, rule="each"
            ),
            "nothing was ruled out": probabilities,
            "only the likeliest is left": F.one_hot(probabilities.argmax(dim=-1), probabilities.shape[-1]).float(),
        }
        different = {words: value for words, value in usual.items() if not torch.allclose(value, wanted, atol=1e-4)}
        got = answer(probabilities, p)
        holds(
            not (isinstance(got, Tensor) and got.shape == wanted.shape and got.isnan().any()),
            f"with p = {p:g} a row has nothing left, and was divided by 0: the likeliest token always stays.",
        )
        same(
            got,
            wanted,
            what=f"with p = {p:g} the result",
            usual=different,
            look="sort each row, sum what stands before each token, keep where that is below p, and put it back",
        )


class _Row:
    """A causal network over whole numbers that can be computed by hand; it remembers what it was asked."""

    def __init__(self, alphabet: int, num_codes: int) -> None:
        chance = budget.generator(3)
        self.factor = torch.tensor(1.0, requires_grad=True)
        self.table = torch.randn(alphabet, 8, generator=chance)
        self.out = torch.randn(8, num_codes, generator=chance)
        self.asked: list[Tensor] = []

    def __call__(self, row: Tensor) -> Tensor:
        holds(
            isinstance(row, Tensor) and row.ndim == 2 and not row.is_floating_point(),
            "the network was asked with "
            f"{tuple(row.shape) if isinstance(row, Tensor) else type(row).__name__}, wanted whole numbers (B, n).",
        )
        holds(row.shape[1] > 0, "the network was asked with an empty row: the words stand in it at least.")
        self.asked.append(row)
        return self.answer(row)

    def answer(self, row: Tensor) -> Tensor:
        place = torch.arange(1, row.shape[1] + 1)
        seen = (self.table[row] * place[:, None].sqrt()).cumsum(dim=1) / place[:, None]  # (B, n, 8)
        return self.factor * seen.tanh() @ self.out


def _bits_mistakes(network: _Row, words: Tensor, tokens: Tensor) -> dict[str, Tensor]:
    L, N = words.shape[1], tokens.shape[1]
    nats = F.cross_entropy

    def mean(logits: Tensor, wanted: Tensor) -> Tensor:
        return nats(logits.flatten(0, 1), wanted.flatten()) / log(2)

    whole = network.answer(torch.cat([words, tokens], dim=1))  # (B, L + N, K)
    behind = network.answer(torch.cat([tokens, words], dim=1))
    shifted = network.answer(torch.cat([tokens[:, :-1], words], dim=1))
    right = whole[:, L - 1 : -1]
    alone = network.answer(tokens)
    return {
        "the words stand behind the tokens: no token can hear them there; words first": mean(behind[:, :N], tokens),
        "the words stand behind the tokens, and the answers are those of the last places: words first": mean(
            behind[:, -N:], tokens
        ),
        "no token hears the words: they are missing, or they stand behind the tokens, where none can see them; words "
        "first": mean(alone[:, :-1], tokens[:, 1:]),
        "the words stand behind the tokens but the last: words first": mean(shifted[:, -N:], tokens),
        "each answer has seen the token that it is to guess: what stands at a place says what comes *behind* it; the "
        "first answer stands at the last word": mean(whole[:, L:], tokens),
        "the answers are one place too early: the first of them stands at the last word": mean(
            whole[:, L - 2 : -2] if L > 1 else right, tokens
        ),
        "each answer is compared with the token after the next": mean(right[:, :-1], tokens[:, 1:]),
        "token 0 is missing: the last word says what it may be": mean(right[:, 1:], tokens[:, 1:]),
        "the last token is missing: all tokens count": mean(right[:, :-1], tokens[:, :-1]),
        "these are nats: divide by the logarithm of 2": nats(right.flatten(0, 1), tokens.flatten()),
        "nats were multiplied by the logarithm of 2: divide": nats(right.flatten(0, 1), tokens.flatten()) * log(2),
        "the bits of all tokens are summed: wanted their mean": mean(right, tokens) * tokens.numel(),
        "the bits are summed over each row: wanted the mean of a token": mean(right, tokens) * N,
        "the bits are divided by the length of the whole row: words are not predicted": mean(right, tokens)
        * N
        / (L + N),
    }


def _bits(answer: object) -> None:
    chance = budget.generator(4)
    for B, L, N, K in ((4, 4, 4, 6), (3, 2, 7, 5)):
        words = torch.randint(K, K + 9, (B, L), generator=chance)
        tokens = torch.randint(K, (B, N), generator=chance)
        network = _Row(K + 9, K)
        logits = network.answer(torch.cat([words, tokens[:, :-1]], dim=1))[:, L - 1 :]
        wanted = F.cross_entropy(logits.flatten(0, 1), tokens.flatten()) / log(2)
        usual = {words_: value.item() for words_, value in _bits_mistakes(network, words, tokens).items()}
        got = answer(network, words, tokens)
        holds(len(network.asked) > 0, "the network was not asked.")
        close(
            got,
            wanted.item(),
            usual={words_: value for words_, value in usual.items() if abs(value - wanted.item()) > 1e-3},
            look="words, then all tokens but the last, in one row; the answers from the last word on",
        )
        holds(len(network.asked) == 1, f"the network was asked {len(network.asked)} times: once is enough.")
        holds(
            isinstance(got, Tensor) and got.requires_grad,
            "no gradient comes to the network: return the tensor itself, not its number, and detach nothing.",
        )
        (due,) = torch.autograd.grad(wanted, network.factor)
        (came,) = torch.autograd.grad(got, network.factor, allow_unused=True)
        holds(
            came is not None and torch.allclose(came, due, rtol=1e-3, atol=1e-6),
            "the number is right, and another gradient comes to the network: was something detached?",
        )


class _Head:
    """A head's three projections; it counts the tokens that it is shown."""

    def __init__(self, size: int) -> None:
        self.weights = torch.randn(3, size, size, generator=budget.generator(5)) / size**0.5
        self.num_tokens = 0

    def __call__(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        self.num_tokens += x.shape[-2]
        return tuple(x @ weight for weight in self.weights)


def _seen(
    q: Tensor, k: Tensor, v: Tensor, n: int, *, places: Tensor | None = None, own: bool = True, dim: int | None = None
) -> Tensor:
    """What token n sees, right or with one of the usual mistakes."""
    places = torch.arange(q.shape[1]) if places is None else places
    turned_q = torch.cat([rotate(q[:, i : i + 1], start=int(place)) for i, place in enumerate(places)], dim=1)
    turned_k = torch.cat([rotate(k[:, i : i + 1], start=int(place)) for i, place in enumerate(places)], dim=1)
    last = n + 1 if own else max(n, 1)
    return attention(turned_q[:, n : n + 1], turned_k[:, :last], v[:, :last])


def _cache_mistakes(q: Tensor, k: Tensor, v: Tensor, n: int) -> dict[str, Tensor]:
    start = torch.zeros(q.shape[1], dtype=torch.long)
    here = slice(n, n + 1)
    turned = rotate(k[:, : n + 1])
    one = rotate(q[:, here], start=n)
    return {
        "every token stands at place 0: the positions restart with each call; count on from what the cache holds": (
            _seen(q, k, v, n, places=start)
        ),
        "the key of a token is told place 0, whatever its place: turn it by its own": attention(
            one, k[:, : n + 1], v[:, : n + 1]
        ),
        "the query of a token is told place 0, whatever its place: turn it by its own": attention(
            q[:, here], turned, v[:, : n + 1]
        ),
        "the token does not see itself: its own key and value belong to what it sees": _seen(q, k, v, n, own=False),
        "the token sees itself alone: what was kept of those before is not used": v[:, here],
        "the token sees itself and the one before alone: the cache is to grow": attention(
            one, turned[:, -2:], v[:, max(0, n - 1) : n + 1]
        ),
        "values were turned, too: places are for queries and keys alone": attention(one, turned, rotate(v[:, : n + 1])),
        "keys that had been turned were turned again": attention(
            one,
            torch.cat([rotate(turned[:, :-1], start=0), turned[:, -1:]], dim=1) if n else turned,
            v[:, : n + 1],
        ),
        "the newest key stands first and the newest value last: put both at the same end": attention(
            one, torch.cat([turned[:, -1:], turned[:, :-1]], dim=1), v[:, : n + 1]
        ),
        "the token's query was kept in place of its key": attention(one, rotate(q[:, : n + 1]), v[:, : n + 1]),
    }


def _cached(answer: object) -> None:
    for B, N, D in ((2, 6, 4), (1, 5, 6)):
        x = torch.randn(B, N, D, generator=budget.generator(6))
        other = torch.randn(B, N, D, generator=budget.generator(7))
        heads = [_Head(D), _Head(D)]
        parts = [tuple(row @ weight for weight in heads[0].weights) for row in (x, other)]
        caches: list[object] = [None, None]
        for n in range(N):
            for row, head, which in ((x, heads[0], 0), (other, heads[1], 1)):  # two rows in turn
                shown = head.num_tokens
                result = _parts(answer(row[:, n : n + 1], head, caches[which]), ("what the token sees", "the cache"))
                got, caches[which] = result
                q, k, v = parts[which]
                wanted = _seen(q, k, v, n)
                usual = _cache_mistakes(q, k, v, n)
                same(
                    got,
                    wanted,
                    what=f"token {n}",
                    usual={name: one for name, one in usual.items() if not torch.allclose(one, wanted, atol=1e-4)},
                    look="turn query and key by the token's place, put key and value behind those that were kept, and "
                    "let the query look at all of them",
                )
                holds(
                    head.num_tokens - shown == 1,
                    f"at token {n} the head was shown {head.num_tokens - shown} tokens, wanted the new one alone: keep "
                    "keys and values, not what they are made from.",
                )


EXERCISES = (
    Exercise(
        "11-quantize",
        _quantizer,
        "rounded forward, not rounded backward, and drawn to its code",
        (
            "Three steps: how far is each vector from each code, which is the nearest, and what stands there in the "
            "codebook.",
            "`vectors[..., None, :] - codebook` is (..., K, D). After `argmin`, `codebook[tokens]` looks the codes up; "
            "detach them at once.",
            "`vectors + (codes - vectors).detach()` for the first, and the mean of `(codes - vectors).square()` for "
            "the last.",
        ),
        _quantize,
    ),
    Exercise(
        "11-follow",
        _follows,
        "two averages that forget, and their quotient",
        (
            "How many vectors chose each code, and what do these sum to? A table of ones and zeros answers both.",
            "`F.one_hot(tokens, K)` is (N, K): its sum over the vectors counts, and its transpose times the vectors "
            "sums.",
            "`counts = decay * counts + (1 - decay) * chosen.sum(dim=0)`, the totals likewise with `chosen.T @ "
            "vectors`; then divide, and use `where` for codes whose count is 0.",
        ),
        _follow,
    ),
    Exercise(
        "11-nucleus",
        _nuclei,
        "the fewest that have p together, at their places, and they sum to 1",
        (
            "Sort from the likeliest to the least likely. When is a token still needed?",
            "A token is needed as long as those *before* it have less than p together: `ordered.cumsum(dim=-1) - "
            "ordered`.",
            "`torch.zeros_like(probabilities).scatter(-1, order, ordered)` puts the sorted ones back; then divide by "
            "the sum of each row.",
        ),
        _nucleus,
    ),
    Exercise(
        "11-bits",
        _bits,
        "words first, each token guessed from those before, and counted in bits",
        (
            "Which answer has seen all words and no token? At which place does it stand?",
            "The last token is guessed, but nothing is guessed from it: the row is the words and all tokens but the "
            "last.",
            "`network(torch.cat([words, tokens[:, :-1]], dim=1))[:, words.shape[1] - 1 :]`, then `F.cross_entropy` of "
            "both, flattened, over `log(2)`.",
        ),
    ),
    Exercise(
        "11-cache",
        _cached,
        "the same as the whole row, token by token, and each projected once",
        (
            "What does a later token need of this one? Keep that, and nothing else.",
            "How many keys are kept is the place of the new token: `cache[0].shape[1]`, and 0 when there is no cache.",
            "Turn query and key with `rotate(..., start=place)`, then `torch.cat([cache[0], k], dim=1)`, the same for "
            "the values, and `attention(q, k, v)`. No mask is needed.",
        ),
    ),
)

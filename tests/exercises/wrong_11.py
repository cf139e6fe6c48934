"""Plausible wrong answers to the exercises of chapter 11: name, body, and words that the check's line must hold."""

QUANTIZE = """far = {far}
tokens = {tokens}
codes = {codes}
return {through}, tokens, {commitment}"""


def _quantize(
    far: str = "(vectors[..., None, :] - codebook).square().sum(dim=-1)",
    tokens: str = "far.argmin(dim=-1)",
    codes: str = "codebook[tokens].detach()",
    through: str = "vectors + (codes - vectors).detach()",
    commitment: str = "(codes - vectors).square().mean()",
) -> str:
    return QUANTIZE.format(far=far, tokens=tokens, codes=codes, through=through, commitment=commitment)


FOLLOW = """chosen = F.one_hot(tokens, len(codebook)).to(vectors)
now, sums = chosen.sum(dim=0), chosen.T @ vectors
old_counts, old_totals = counts, totals
counts = {counts}
totals = {totals}
alive = counts[:, None] > 0
means = {means}
return {book}, counts, totals"""


def _follow(
    counts: str = "decay * counts + (1 - decay) * now",
    totals: str = "decay * totals + (1 - decay) * sums",
    means: str = "totals / counts[:, None].where(alive, torch.ones(()))",
    book: str = "means.where(alive, codebook)",
) -> str:
    return FOLLOW.format(counts=counts, totals=totals, means=means, book=book)


NUCLEUS = """ordered, order = probabilities.sort(dim=-1, descending={descending})
upto = ordered.cumsum(dim=-1)
before = upto - ordered
kept = ordered * ({keep})
kept = {back}
return {result}"""


def _nucleus(
    keep: str = "before < p",
    descending: str = "True",
    back: str = "torch.zeros_like(probabilities).scatter(-1, order, kept)",
    result: str = "kept / kept.sum(dim=-1, keepdim=True)",
) -> str:
    return NUCLEUS.format(keep=keep, descending=descending, back=back, result=result)


BITS = """row = {row}
logits = network(row)
logits = {logits}
wanted = {wanted}
cost = F.cross_entropy(logits.flatten(0, 1), wanted.flatten(){how})
return {result}"""


def _bits(
    row: str = "torch.cat([words, tokens[:, :-1]], dim=1)",
    logits: str = "logits[:, words.shape[1] - 1 :]",
    wanted: str = "tokens",
    how: str = "",
    result: str = "cost / log(2)",
) -> str:
    return BITS.format(row=row, logits=logits, wanted=wanted, how=how, result=result)


CACHE = """q, k, v = project(x)
place = {place}
q, k = {turned}
if cache is not None:
    k, v = {kept}
return {seen}, {cache}"""


def _cache(
    place: str = "0 if cache is None else cache[0].shape[1]",
    turned: str = "rotate(q, start=place), rotate(k, start=place)",
    kept: str = "torch.cat([cache[0], k], dim=1), torch.cat([cache[1], v], dim=1)",
    seen: str = "attention(q, k, v)",
    cache: str = "(k, v)",
) -> str:
    return CACHE.format(place=place, turned=turned, kept=kept, seen=seen, cache=cache)


WRONG = {
    "11-quantize": [
        ("straight-through without detach", _quantize(through="vectors + (codes - vectors)"), "without detach"),
        ("codes alone", _quantize(through="codes"), "no gradient comes to the vectors"),
        (
            "all detached",
            _quantize(through="(vectors + (codes - vectors)).detach()"),
            "no gradient comes to the vectors",
        ),
        (
            "detached the wrong part",
            _quantize(codes="codebook[tokens]", through="codes + (vectors - vectors.detach()).detach()"),
            "no gradient comes to the vectors",
        ),
        (
            "twice the gradient",
            _quantize(through="2 * vectors + (codes - 2 * vectors).detach()"),
            "another gradient comes to the vectors",
        ),
        (
            "a gradient to the codebook",
            _quantize(
                codes="codebook[tokens]",
                through="vectors + codes - vectors.detach()",
                commitment="(codes.detach() - vectors).square().mean()",
            ),
            "a gradient comes to the codebook through",
        ),
        ("not rounded", _quantize(through="vectors + 0 * codes"), "the vectors came back"),
        ("farthest", _quantize(tokens="far.argmax(dim=-1)"), "farthest"),
        ("largest product", _quantize(far="-(vectors @ codebook.T)"), "the largest product"),
        (
            "without a square",
            _quantize(far="(vectors[..., None, :] - codebook).sum(dim=-1)"),
            "without a square",
        ),
        (
            "a dimension too many",
            "far = (vectors[..., None, :] - codebook).square().sum(dim=-1)\n"
            "tokens = far.argmin(dim=-1, keepdim=True)\n"
            "codes = codebook[tokens[..., 0]].detach()\n"
            "return vectors + (codes - vectors).detach(), tokens, (codes - vectors).square().mean()",
            "no last dimension",
        ),
        ("commitment summed", _quantize(commitment="(codes - vectors).square().sum()"), "summed over everything"),
        (
            "commitment summed over vectors",
            _quantize(commitment="(codes - vectors).square().sum(dim=-1).mean()"),
            "summed over the last dimension",
        ),
        ("absolute", _quantize(commitment="(codes - vectors).abs().mean()"), "absolute"),
        ("root", _quantize(commitment="(codes - vectors).square().mean().sqrt()"), "a root"),
        (
            "measured from what came back",
            _quantize(commitment="(codes - (vectors + (codes - vectors).detach())).square().mean()"),
            "from what came back",
        ),
        (
            "the vectors detached",
            _quantize(codes="codebook[tokens]", commitment="(codes - vectors.detach()).square().mean()"),
            "sends no gradient to the vectors",
        ),
        ("nothing detached", _quantize(codes="codebook[tokens]"), "sends a gradient to the codebook"),
        ("a plain number", _quantize(commitment="(codes - vectors).square().mean().item()"), "no gradient comes from"),
        ("the commitment forgotten", _quantize().rpartition(",")[0], "wanted codes, tokens and the commitment"),
    ],
    "11-follow": [
        ("the codebook never moves", _follow(book="codebook.clone()"), "never moves"),
        ("decay exchanged", _follow(counts="(1 - decay) * counts + decay * now"), "the two shares are exchanged"),
        (
            "decay of the totals exchanged",
            _follow(totals="(1 - decay) * totals + decay * sums"),
            "the two shares of the totals",
        ),
        ("counts as they were", _follow(counts="counts.clone()"), "the counts are as they were"),
        ("totals as they were", _follow(totals="totals.clone()"), "the totals are as they were"),
        ("counts of the batch", _follow(counts="now"), "of this batch alone"),
        ("totals of the batch", _follow(totals="sums"), "of this batch alone"),
        ("added in full", _follow(counts="decay * counts + now"), "in full"),
        ("totals added in full", _follow(totals="decay * totals + sums"), "in full"),
        (
            "shares of the batch",
            _follow(counts="decay * counts + (1 - decay) * now / len(vectors)"),
            "divided by its size",
        ),
        ("nothing forgets", _follow(counts="counts + now"), "nothing forgets"),
        (
            "means in place of sums",
            _follow(totals="decay * totals + (1 - decay) * sums / now.clamp(min=1)[:, None]"),
            "in place of sums",
        ),
        ("codes summed", _follow(totals="decay * totals + (1 - decay) * now[:, None] * codebook"), "not the vectors"),
        ("divided by nothing", _follow(book="totals / counts[:, None]"), "not a number"),
        ("dead codes to zero", _follow(book="totals / counts.clamp(min=1e-9)[:, None]"), "went to zero"),
        (
            "the mean of the batch",
            _follow(book="(sums / now.clamp(min=1)[:, None]).where(now[:, None] > 0, codebook)"),
            "the means of this batch",
        ),
        (
            "a share of the way",
            _follow(
                book="codebook.lerp(sums / now.clamp(min=1)[:, None], 1 - decay).where(now[:, None] > 0, codebook)"
            ),
            "a share of the way",
        ),
        (
            "only those that were chosen",
            _follow(book="means.where(now[:, None] > 0, codebook)"),
            "did not choose stayed",
        ),
        (
            "the old averages divided",
            _follow(book="(old_totals / old_counts.clamp(min=1e-9)[:, None]).where(old_counts[:, None] > 0, codebook)"),
            "divide the new ones",
        ),
        ("divided by the batch", _follow(book="totals / len(vectors)"), "each code's own count"),
        ("written into what was given", "codebook += 1\n" + _follow(), "has been changed"),
        ("the codebook alone", "return codebook", "wanted the codebook, counts and totals"),
    ],
    "11-nucleus": [
        ("one too few", _nucleus(keep="upto <= p"), "one too few"),
        (
            "one too few, the likeliest always stays",
            _nucleus(keep="(upto <= p) | (before == 0)"),
            "one too few",
        ),
        ("one too many", _nucleus(keep="before <= p"), "one too many"),
        ("one more", _nucleus(keep="before - ordered.roll(1, dims=-1) < p"), "one"),
        ("not divided", _nucleus(result="kept"), "do not sum to 1"),
        ("left in order", _nucleus(back="kept"), "put them back"),
        (
            "put back the wrong way",
            _nucleus(back="kept.gather(-1, order)"),
            "put it back",
        ),
        ("the least likely first", _nucleus(descending="False"), "the least likely"),
        (
            "each by itself",
            "kept = probabilities * (probabilities >= p)\nreturn kept / kept.sum(-1, keepdim=True).clamp(min=1e-9)",
            "each probability",
        ),
        (
            "each by itself, below 1 - p",
            "kept = probabilities * (probabilities >= 1 - p)\nreturn kept / kept.sum(-1, keepdim=True).clamp(min=1e-9)",
            "each probability",
        ),
        ("nothing ruled out", "return probabilities.clone()", "nothing was ruled out"),
        (
            "the likeliest alone",
            "return F.one_hot(probabilities.argmax(-1), probabilities.shape[-1]).float()",
            "only the likeliest",
        ),
        (
            "summed over everything",
            "flat, order = probabilities.flatten().sort(descending=True)\n"
            "before = flat.cumsum(0) - flat\n"
            "needed = before < p * len(flat) / probabilities.shape[-1]\n"
            "kept = torch.zeros_like(flat).scatter(0, order, flat * needed).view_as(probabilities)\n"
            "return kept / kept.sum(-1, keepdim=True).clamp(min=1e-9)",
            "sort each row",
        ),
        ("logits", _nucleus(result="kept.softmax(dim=-1)"), "sum what stands before"),
    ],
    "11-bits": [
        (
            "text after the tokens",
            _bits(row="torch.cat([tokens, words], dim=1)", logits="logits[:, : tokens.shape[1]]"),
            "the words stand behind the tokens",
        ),
        (
            "text after the tokens, the last answers",
            _bits(row="torch.cat([tokens[:, :-1], words], dim=1)", logits="logits[:, -tokens.shape[1] :]"),
            "the words stand behind the tokens",
        ),
        (
            "text after the tokens, shifted",
            _bits(
                row="torch.cat([tokens, words], dim=1)",
                logits="logits[:, : tokens.shape[1] - 1]",
                wanted="tokens[:, 1:]",
            ),
            "no token hears the words",
        ),
        (
            "each sees itself",
            _bits(row="torch.cat([words, tokens], dim=1)", logits="logits[:, words.shape[1] :]"),
            "has seen the token that it is to guess",
        ),
        (
            "one place too early",
            _bits(
                row="torch.cat([words, tokens], dim=1)",
                logits="logits[:, words.shape[1] - 2 : -2]",
            ),
            "too early",
        ),
        (
            "the token after the next",
            _bits(logits="logits[:, words.shape[1] - 1 : -1]", wanted="tokens[:, 1:]"),
            "after the next",
        ),
        (
            "token 0 missing",
            _bits(logits="logits[:, words.shape[1] :]", wanted="tokens[:, 1:]"),
            "token 0 is missing",
        ),
        (
            "the last token missing",
            _bits(logits="logits[:, words.shape[1] - 1 : -1]", wanted="tokens[:, :-1]"),
            "the last token is missing",
        ),
        (
            "no words",
            _bits(row="tokens[:, :-1]", logits="logits", wanted="tokens[:, 1:]"),
            "no token hears the words",
        ),
        ("nats", _bits(result="cost"), "nats"),
        ("multiplied", _bits(result="cost * log(2)"), "divide"),
        ("summed", _bits(how=", reduction='sum'"), "summed"),
        ("summed over rows", _bits(how=", reduction='sum'", result="cost / log(2) / len(tokens)"), "over each row"),
        (
            "words counted",
            _bits(how=", reduction='sum'", result="cost / log(2) / (len(tokens) * (words.shape[1] + tokens.shape[1]))"),
            "words are not predicted",
        ),
        ("a plain number", _bits(result="cost.item() / log(2)"), "no gradient"),
        ("detached", _bits(logits="logits[:, words.shape[1] - 1 :].detach()"), "no gradient"),
        ("half of the gradient", _bits(result="(cost + cost.detach()) / 2 / log(2)"), "another gradient"),
        (
            "asked once for each token",
            "L, N = words.shape[1], tokens.shape[1]\n"
            "row = torch.cat([words, tokens], dim=1)\n"
            "logits = torch.stack([network(row[:, : L + n])[:, -1] for n in range(N)], dim=1)\n"
            "return F.cross_entropy(logits.flatten(0, 1), tokens.flatten()) / log(2)",
            "once is enough",
        ),
        ("not asked", "return torch.tensor(2.0)", "was not asked"),
        ("vectors", _bits(row="torch.cat([words, tokens[:, :-1]], dim=1).float()"), "wanted whole numbers"),
    ],
    "11-cache": [
        ("positions restart at 0", _cache(place="0"), "the positions restart"),
        ("not turned", _cache(turned="q, k"), "the positions restart"),
        (
            "the key at place 0",
            _cache(turned="rotate(q, start=place), rotate(k)"),
            "the key of a token is told place 0",
        ),
        (
            "the query at place 0",
            _cache(turned="rotate(q), rotate(k, start=place)"),
            "the query of a token is told place 0",
        ),
        (
            "does not see itself",
            "q, k, v = project(x)\n"
            "place = 0 if cache is None else cache[0].shape[1]\n"
            "q, k = rotate(q, start=place), rotate(k, start=place)\n"
            "if cache is None:\n"
            "    return v, (k, v)\n"
            "seen = attention(q, *cache)\n"
            "return seen, (torch.cat([cache[0], k], dim=1), torch.cat([cache[1], v], dim=1))",
            "does not see itself",
        ),
        (
            "sees itself alone",
            "q, k, v = project(x)\nreturn attention(q, k, v), (k, v)",
            "sees itself alone",
        ),
        (
            "the last two",
            _cache(
                place="0 if cache is None else cache[2]",
                seen="attention(q, k, v)",
                cache="(k[:, -1:], v[:, -1:], place + 1)",
            ),
            "the one before alone",
        ),
        (
            "values turned",
            _cache().replace("q, k = rotate", "v = rotate(v, start=place)\nq, k = rotate"),
            "values were turned",
        ),
        (
            "turned again",
            _cache(kept="torch.cat([rotate(cache[0]), k], dim=1), torch.cat([cache[1], v], dim=1)"),
            "turned again",
        ),
        (
            "turned again, and kept as they were",
            _cache(
                kept="torch.cat([rotate(cache[0]), k], dim=1), torch.cat([cache[1], v], dim=1)",
                cache="(torch.cat([cache[0], k[:, -1:]], dim=1) if cache is not None else k, v)",
            ),
            "turned again",
        ),
        (
            "keys in front, values behind",
            _cache(kept="torch.cat([k, cache[0]], dim=1), torch.cat([cache[1], v], dim=1)"),
            "at the same end",
        ),
        (
            "queries kept",
            "q, k, v = project(x)\n"
            "place = 0 if cache is None else cache[0].shape[1]\n"
            "q = k = rotate(q, start=place)\n"
            "if cache is not None:\n"
            "    k, v = torch.cat([cache[0], k], dim=1), torch.cat([cache[1], v], dim=1)\n"
            "return attention(q, k, v), (k, v)",
            "query was kept",
        ),
        (
            "what keys are made from",
            "rows = x if cache is None else torch.cat([cache, x], dim=1)\n"
            "q, k, v = project(rows)\n"
            "q, k = rotate(q), rotate(k)\n"
            "return attention(q[:, -1:], k, v), rows",
            "the new one alone",
        ),
        (
            "one cache for all",
            "kept = look_back.__dict__.setdefault('kept', [])\n"
            "q, k, v = project(x)\n"
            "q, k = rotate(q, start=len(kept)), rotate(k, start=len(kept))\n"
            "kept.append((k, v))\n"
            "k, v = (torch.cat([one[i] for one in kept], dim=1) for i in range(2))\n"
            "return attention(q, k, v), None",
            "wanted",
        ),
        ("the cache forgotten", _cache().rpartition(",")[0].removesuffix(", (k"), "wanted what the token sees and"),
    ],
}

"""Right answers to the exercises of chapter 11 that are written in unusual ways: name and body."""

RIGHT = {
    "11-quantize": [
        (
            "the package's",
            "tokens = nearest_code(vectors, codebook)\n"
            "codes = codebook.detach()[tokens]\n"
            "return straight_through(vectors, codes), tokens, F.mse_loss(vectors, codes)",
        ),
        (
            "cdist, and a list",
            "flat = vectors.reshape(-1, vectors.shape[-1])\n"
            "tokens = torch.cdist(flat, codebook).argmin(dim=1).view(vectors.shape[:-1])\n"
            "codes = F.embedding(tokens, codebook).detach()\n"
            "return [codes + vectors - vectors.detach(), tokens, ((vectors - codes) ** 2).mean()]",
        ),
        (
            "one hot",
            "with torch.no_grad():\n"
            "    far = (vectors.unsqueeze(-2) - codebook).norm(dim=-1)\n"
            "    tokens = far.argmin(-1)\n"
            "    codes = F.one_hot(tokens, len(codebook)).float() @ codebook\n"
            "return codes + (vectors - vectors.detach()), tokens, F.mse_loss(codes, vectors)",
        ),
    ],
    "11-follow": [
        (
            "code by code",
            "book, many, sums = codebook.clone(), counts.clone(), totals.clone()\n"
            "for code in range(len(codebook)):\n"
            "    mine = vectors[tokens == code]\n"
            "    many[code] = decay * many[code] + (1 - decay) * len(mine)\n"
            "    sums[code] = decay * sums[code] + (1 - decay) * mine.sum(dim=0)\n"
            "    if many[code] > 0:\n"
            "        book[code] = sums[code] / many[code]\n"
            "return book, many, sums",
        ),
        (
            "bincount and index_add",
            "now = torch.bincount(tokens, minlength=len(codebook)).float()\n"
            "sums = torch.zeros_like(totals).index_add(0, tokens, vectors)\n"
            "many, all_of = counts.lerp(now, 1 - decay), totals.lerp(sums, 1 - decay)\n"
            "book = codebook.clone()\n"
            "book[many > 0] = all_of[many > 0] / many[many > 0, None]\n"
            "return [book, many, all_of]",
        ),
    ],
    "11-nucleus": [
        ("the package's", "return keep_top_p(probabilities.log(), p).softmax(dim=-1)"),
        (
            "row by row",
            "rows = []\n"
            "for row in probabilities.reshape(-1, probabilities.shape[-1]):\n"
            "    kept, total = torch.zeros_like(row), 0.0\n"
            "    for token in row.argsort(descending=True).tolist():\n"
            "        if total >= p:\n"
            "            break\n"
            "        kept[token] = row[token]\n"
            "        total += row[token].item()\n"
            "    rows.append(kept / kept.sum())\n"
            "return torch.stack(rows).view_as(probabilities)",
        ),
        (
            "by the smallest that stays",
            "ordered = probabilities.sort(dim=-1, descending=True).values\n"
            "needed = (ordered.cumsum(-1) - ordered < p).sum(dim=-1, keepdim=True)\n"
            "place = probabilities.argsort(dim=-1, descending=True).argsort(dim=-1)\n"
            "kept = probabilities.where(place < needed, torch.zeros(()))\n"
            "return kept / kept.sum(-1, keepdim=True)",
        ),
    ],
    "11-bits": [
        (
            "gathered",
            "N = tokens.shape[1]\n"
            "logits = network(torch.cat((words, tokens), 1)[:, :-1])[:, -N:]\n"
            "return -logits.log_softmax(-1).gather(-1, tokens[..., None]).mean() / log(2)",
        ),
        (
            "the whole row, and its last answer thrown away",
            "L = words.shape[1]\n"
            "logits = network(torch.cat([words, tokens], dim=1))[:, L - 1 : -1]\n"
            "return F.cross_entropy(logits.transpose(1, 2), tokens) * torch.tensor(1.0).exp().log2()",
        ),
    ],
    "11-cache": [
        (
            "lists",
            "keys, values = cache or ([], [])\n"
            "q, k, v = project(x)\n"
            "place = len(keys)\n"
            "keys, values = [*keys, rotate(k, start=place)], [*values, v]\n"
            "return attention(rotate(q, start=place), torch.cat(keys, 1), torch.cat(values, 1)), (keys, values)",
        ),
        (
            "keys kept as they are, and turned when they are looked at",
            "q, k, v = project(x)\n"
            "if cache is not None:\n"
            "    k, v = torch.cat([cache[0], k], dim=1), torch.cat([cache[1], v], dim=1)\n"
            "return [attention(rotate(q, start=k.shape[1] - 1), rotate(k), v), [k, v]]",
        ),
        (
            "a dictionary, the newest first",
            "cache = cache or {'place': 0, 'k': x[:, :0], 'v': x[:, :0]}\n"
            "q, k, v = project(x)\n"
            "k = torch.cat([rotate(k, start=cache['place']), cache['k']], dim=1)\n"
            "v = torch.cat([v, cache['v']], dim=1)\n"
            "seen = attention(rotate(q, start=cache['place']), k, v)\n"
            "return seen, {'place': cache['place'] + 1, 'k': k, 'v': v}",
        ),
    ],
}

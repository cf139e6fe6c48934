def families(
    *,
    cpu_minutes: Sequence[float],
    num_seeds: int,
    folder: Path,
    models: Sequence[str] = (),
    record: Path | None = None,
) -> str:
    """Let a GAN, tokens, diffusion and the cascade run against one another, in equal CPU time, and write who is where.

    What is finished is kept, and what is interrupted goes on when the same is asked for again.

    Args:
        cpu_minutes: of each training, all its networks together, on one thread; one training for each.
        num_seeds: trainings of each family for each budget, at least 1.
        folder: where they are kept.
        models: some of ``FAMILIES``; all of them, if none is named.
        record: an .csv file to write with a row for each training and way of drawing; None for none.

    Returns:
        A table: CAPTION, VALID, MOTION and COVERAGE of held-out captions, and what a clip costs.

    Raises:
        ValueError: if an argument does not fit, or a file of the folder is damaged.
    """
    models = tuple(dict.fromkeys(models)) or tuple(FAMILIES)
    _expect_budgets(cpu_minutes, num_seeds)
    asked = [(name, minutes, seed) for minutes in cpu_minutes for name in models for seed in range(num_seeds)]
    entries: list[Entry] = []
    for name, minutes, seed in progress(asked, description="trainings"):
        entries += enter(name, seed=seed, cpu_minutes=minutes, folder=folder)
    if record is not None:
        rows = [["family", "draws", "way", "seed", "CPU minutes", *entries[0].numbers]]
        for entry in entries:
            numbers = (f"{value:.4f}" for value in entry.numbers.values())
            about = (entry.family, FAMILIES[entry.family].draws, entry.way, entry.seed, f"{entry.cpu_minutes:g}")
            rows.append([*about, *numbers])
        _write_csv(record, rows)
    columns = ("caption", "valid", "motion", "coverage")
    lines = [
        f"{'family':<11}{'way of drawing':<24}{'minutes':>8}{'CAPTION':>9}{'spread':>8}"
        + "".join(f"{name.upper():>10}" for name in columns[1:])
        + f"{'seconds a clip':>16}"
    ]
    for about in dict.fromkeys((entry.family, entry.way, entry.cpu_minutes) for entry in entries):
        found = [entry.numbers for entry in entries if (entry.family, entry.way, entry.cpu_minutes) == about]
        captions = [numbers["caption"] for numbers in found]
        spread = f"{stdev(captions):.3f}" if len(found) > 1 else ""
        line = f"{about[0]:<11}{about[1]:<24}{about[2]:>8g}{mean(captions):>9.3f}{spread:>8}"
        line += "".join(f"{mean(numbers[name] for numbers in found):>10.3f}" for name in columns[1:])
        lines.append(f"{line}{mean(numbers['CPU seconds a clip'] for numbers in found):>16.4f}")
    return "\n".join(lines)



# ## 13. The race
#
# Four ways lead from a caption to a clip by now: a GAN (chapter 08), tokens, diffusion (chapter 09) and the cascade (chapter 10). *Which is the best?* is no question yet. At what cost of training? At what cost of drawing? So here is a race on equal terms: each family is given the same CPU time on one thread, for all its networks together; each is then asked for the twelve combinations that were never trained; and one judge reads what it draws. Tokens share their time between two networks, the cascade shares it among four.
#
# One thing is not equal, and it should be in view: three families draw 8 frames of 16 x 16, and the cascade draws 16 frames of 64 x 64, thirty-two times as many numbers.
#
# It takes hours, so its record is kept with the course. `python -m course benchmark families --cpu-minutes 2 6 --seeds 3` runs it on your machine, and goes on where it was interrupted. **Which will be first after two minutes, which after six? Which draws most cheaply?**

# %%
rows = {}
with (CHECKPOINTS.parent / "records" / "families.csv").open(newline="", encoding="utf-8") as file:
    for row in csv.DictReader(file):
        rows.setdefault((row["family"], row["way"], float(row["CPU minutes"])), []).append(row)


def mean_of(some: list[dict[str, str]], column: str) -> float:
    """Return the mean over the trainings on record."""
    return sum(float(row[column]) for row in some) / len(some)


MEASURES = ("caption", "valid", "motion", "coverage", "CPU seconds a clip")
print(
    f"{'family':10}{'drawn':24}{'minutes':>8}{'trained':>8}{'CAPTION from':>13}{'to':>6}"
    + "".join(
        f"{name.replace('CPU seconds', 'seconds'):>{max(10, len(name))}}" for name in MEASURES
    )
)
for (family, way, minutes), some in rows.items():
    captions = [float(row["caption"]) for row in some]
    print(
        f"{family:10}{way:24}{minutes:8g}{len(some):8}{min(captions):13.2f}{max(captions):6.2f}"
        + "".join(f"{mean_of(some, name):{max(10, len(name))}.3g}" for name in MEASURES)
    )

# %% [markdown]
# The same in two pictures. First quality against the time of training, each family drawn in its usual way; the bands are the range over the trainings.

# %%
usual = {}
for family, way, _ in rows:
    usual.setdefault(family, way)  # the first way of each
budgets = sorted({minutes for _, _, minutes in rows})
curve(
    budgets,
    {
        family: torch.tensor(
            [[float(row["caption"]) for row in rows[family, way, minutes]] for minutes in budgets]
        ).T
        for family, way in usual.items()
    },
    x_label="CPU minutes of training",
    y_label="CAPTION, held-out combinations",
    description="RACE1",
)

# %% [markdown]
# And quality against the time of drawing, after the longest training. Each family has a way to trade the one for the other: more steps, or none.

# %%
longest = {key: some for key, some in rows.items() if key[2] == budgets[-1]}
ordered = sorted(longest, key=lambda key: mean_of(longest[key], MEASURES[-1]))
heatmap(
    [[mean_of(longest[key], name) for name in MEASURES[:-1]] for key in ordered],
    rows=[
        f"{family}, {way}: {1 / mean_of(longest[family, way, minutes], MEASURES[-1]):.3g} clips a second"
        for family, way, minutes in ordered
    ],
    columns=["CAPTION", "VALID", "MOTION", "COVERAGE"],
    row_label="family and way of drawing, the cheapest first",
    column_label="measure",
    value_label="mean over the trainings",
    description="RACE2",
)

# %% [markdown]
# RACETEXT
#

"""A question for each chapter that no check can grade: it is answered in words and read by a person.

It stands in the assignments that ``course.assignment`` writes. What a good answer says is left out of these; it can be
read here by whoever opens this file.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Question:
    """What is asked, and what a good answer says.

    Attributes:
        title: a few words, for the heading.
        text: the question, in Markdown.
        answer: what a good answer says, in Markdown; not in what learners are given.
        points: what it is worth unless the teacher says otherwise.
    """

    title: str
    text: str
    answer: str
    points: int = 3


QUESTIONS = {
    "00": Question(
        "A perfect copy",
        "A generator was trained on a thousand clips. Asked for a new one, it gives back one of the thousand, pixel "
        "by pixel. Which of the judge's numbers like it, which one does not, and why is it as bad as one that draws "
        "noise?",
        "VALID, IDENTITY, MOTION and CAPTION like it; NOVELTY, how far a clip is from the nearest training clip, is "
        "zero. It has kept clips and has not learned to make them. Noise is new and not valid, a copy is valid and "
        "not new; a generator must be both.",
        points=1,
    ),
    "01": Question(
        "A wheel in a film of yours",
        "A wheel with six equal spokes is filmed at 24 frames per second. At which speed does it first seem to stand "
        "still, and from which speed on does it seem to turn backwards? Explain it without the formula, by what can "
        "and cannot be seen in two frames. Then name one change to the wheel that would give the lie away.",
        "Two frames show only how far the spokes have moved, and a turn by a sixth looks like no turn: it stands "
        "still at 24 / 6 = 4 turns per second. Of all turns that fit, the smallest is seen: beyond half a sixth per "
        "frame, 2 turns per second, that is one backwards. Any change that makes the spokes different helps (paint "
        "one: then the period is a whole turn).",
    ),
    "02": Question(
        "A table in a paper",
        "A paper on moving digits reports an SSIM of 0.8 between its predictions and the truth, and a Frechet "
        "distance of 41. What must stand beside the 0.8 before it says anything, and why? What beside the 41? Name "
        "for each of the two a bad clip that it likes, and say what you would ask the authors to show besides.",
        "Beside the SSIM: that of an all-black prediction and of the last frame repeated, on the same clips, since "
        "most windows are black on black and count as perfect. Beside the 41: how many clips (few estimate the "
        "covariance badly, and the distance grows), which features, and what real clips get against as many real "
        "clips. SSIM likes black and blurred clips; a Frechet distance on features of frames does not see shuffled "
        "time. Besides: the clips, and a measure that says what is wrong with a single one.",
    ),
    "03": Question(
        "What a gradient can promise",
        "In this chapter the share of the gradient that reaches the first frames was measured before any training. "
        "What does a share near zero tell you about a network, and what does a large one *not* tell you? Which two "
        "changes then overturned the picture, and what follows for a claim that 'an LSTM cannot remember that long'?",
        "Near zero: the network cannot learn from those frames, whatever the training. Large: nothing is promised, as "
        "the LSTM with a forget bias showed, which had the gradient all along and did not learn. Longer training and "
        "inputs with the board at zero, together, made it learn. Such claims compare trainings, not architectures: "
        "look at inputs and starting values before blaming the cell.",
    ),
    "04": Question(
        "When is now?",
        "Take a Transformer without positions and without a mask, and shuffle the frames that it is given. What "
        "happens to its outputs, and why can no amount of training change that? Which part of the chapter's models "
        "breaks this, even where no position is told at all, and how?",
        "The outputs are shuffled in the same way, and a pooled answer stays as it is: attention sums over a set, and "
        "every other layer treats each token alike, so no weights can tell order. Positions break it. So does a "
        "causal mask: each frame sees a different number of frames, and from that the network can tell how late it is.",
    ),
    "05": Question(
        "Whose zeros?",
        "A colleague uses `Conv3d` with padding on both sides of time in a network that is to predict the next frame. "
        "The training loss falls to almost nothing, and the predictions are useless. What has the network learned? "
        "How would you prove it in a few lines, without any training? And where must the padding go?",
        "With padding on both sides, an output sees frames behind its own, among them the one that it is asked for: "
        "it copies. Proof: the gradient of output t with respect to later frames must be zero, and is not. All of the "
        "padding in time goes before the first frame, kernel length minus one in all.",
    ),
    "06": Question(
        "Two horizons, two winners",
        "The best predictor of the next frame was not the best predictor of ten. What differs between the frames that "
        "it is trained on and those that it is fed in a rollout? Describe two cures, say what each of them pays, and "
        "why a table with one number would have made us ship the wrong network.",
        "In training it sees true frames, in a rollout its own, with their faults, and nobody has taught it what to "
        "do with these. Closed loop: its own output is fed back in training, too; it feeds on rubbish at first and "
        "learns slowly from it. Scheduled sampling: the truth first, and less and less of it. Both pay with a larger "
        "error of the first frame. The error of the next frame alone ranks the predictor first that melts.",
    ),
    "07": Question(
        "Too good a context",
        "A network that is told a context brings back the right sprite from behind a board, far more often than one "
        "that is not told. Before you believe that it *keeps the scene*, rule out that the context contains the "
        "answer, and that the context is not heeded at all. Which experiment shows each, and what would you see in "
        "the bad case?",
        "Contains the answer: change the truth after the given frames and make the context anew as the code makes it: "
        "no prediction may change. Or take clips of which nobody can know what comes: a right answer is then a leak. "
        "Not heeded: hand over another clip's context, or none; if the same sprite comes out, nobody listened. A "
        "network that heeds it brings back the other clip's sprite.",
    ),
    "08": Question(
        "What the loss does not say",
        "Two people train the same GAN. In the one run the critic's loss is small at the end, in the other it is as "
        "large as at the start. Can you tell whose clips are better? What does this loss say at all, and why can a "
        "generator that draws the same good clip again and again keep it where it is? Which measures would you report "
        "in its place, and with what beside them?",
        "No. The loss says who is ahead. It is the same where the critic has learned nothing and where there is "
        "nothing left to tell; a small one may mean a critic that has won, and a generator that learns no more. Each "
        "single clip of a collapsed generator can look real to a critic that sees clips one by one. In its place: "
        "what the judge says of single clips (VALID, MOTION, CAPTION) together with measures of the set: VARIETY, "
        "which sets clips of one caption side by side (COVERAGE cannot show this collapse, since every combination is "
        "asked for by name), and a Frechet distance, beside a copyist, noise and fresh clips of the world.",
    ),
    "09": Question(
        "One noise for all frames",
        "Somebody draws noise once for each clip and uses it in every frame. Every shape fits, and the loss falls as "
        "it should. What can the network do now in place of what was meant, why is it told less about what stands "
        "still, and how would you notice, if you may look at what the network is given, but not at the code?",
        "It may subtract one frame from the next: the noise cancels, and the motion lies open at every noise step but "
        "the last; nothing has to be found under noise. Frames under noises of their own are so many looks at what "
        "stands still; under one noise they are one look. To notice: subtract neighbouring frames at a noise step at "
        "which nothing can be seen; there must be noise, and there are edges.",
    ),
    "10": Question(
        "Tested on real clips",
        "Every stage of a cascade was tested on real clips, made small, and does well. Why do these numbers say "
        "nothing about the line? What is noise on what a stage is given meant to do about it, why is the stage told "
        "how much, and what is lost with too much of it?",
        "In the line a stage is given what another network has drawn, with faults that no real clip has; the numbers "
        "are the same for every base, even for one that draws nothing right. A stage trained under noise has learned "
        "not to trust each pixel, and small faults drown. Told the level, it knows how far to trust what it sees, and "
        "one network serves for all levels. Too much hides what the stages before have decided, and faults as large "
        "as the sprite's parts cannot be hidden without the sprite.",
    ),
    "11": Question(
        "A loss too good",
        "Two faults in networks that write clips as rows of words and tokens. The first reaches a far lower loss than "
        "yours in seconds, and draws nonsense. The second has a loss like yours and draws good clips, but of other "
        "things than were asked for. Which mistake in the order or in the alignment of the row explains each? How do "
        "you find both by one gradient, without any training?",
        "The first: the row is not shifted, so that the answer for a token is compared with the token that it sees; "
        "it has learned to copy. The second: the words stand behind the tokens, and the causal mask keeps them from "
        "every answer; it has learned what clips look like, whatever the words. The gradient of one answer with "
        "respect to every place of the row finds both: it must be zero at the token that is asked for and behind it, "
        "and must not be zero at the words.",
    ),
    "12": Question(
        "Outvoted",
        "You hold the first frame of a clip to a picture in every step of the sampler, with a denoiser that was never "
        "told which frames are known. Even if that denoiser is the best there is, the clip need not go on from the "
        "picture. Explain why, and what changes when the network is told what is known. Why does a score of the first "
        "frame alone not show the difference?",
        "To the denoiser the held frame is one noisy frame among many: while the others still hold another clip's "
        "noise, they outvote it, and by the time that it is clear the motion and the sprite are decided. A network "
        "that is told knows from the first step that this frame is certain, and fits the others to it. The first "
        "frame is put there by hand in either case, so its score is perfect: ask whether the later frames still show "
        "what it shows, and whether they move.",
    ),
}

"""What the measurements are held against, in one place, each with its reason."""

from __future__ import annotations

MIN_LIP_R = 0.50
"""Mean correlation with the real mouth. A fair sample of what a voice allows has r equal to the explained
variance; a ridge regression on the same audio features explains r^2 of about 0.3 on unseen speakers, and
guidance trades the variety of samples for more."""
MAX_LAG_MS = 80.0
"""Median distance of the best lag from zero: two frames. Viewers notice sound that leads by 45 ms or
trails by 125 ms (ITU-R BT.1359)."""
AMPLITUDE_RATIO = (0.6, 1.5)
"""Generated over real standard deviation of mouth opening: neither mumbling nor shouting."""
MAX_SHUFFLED_R = 0.10
"""With another clip's sound only chance is left to agree on, and that recordings begin and end in silence:
two real mouths, paired in the same way, agree by 0.08; those of two clips of the GRID corpus by 0.30."""
MIN_FOOTAGE_SECONDS = 60.0
"""Some twenty clips of three seconds: with fewer, a single speaker decides the mean."""

BLINKS_PER_MINUTE = (5.0, 30.0)
"""Adults blink 26 times a minute in conversation, 17 at rest, 4.5 when reading (Bentivoglio et al. 1997)."""
MIN_HEAD_DEGREES = 0.5
"""Standard deviation of head rotation; the stillest of the real clips, of speakers told to sit still,
measure 0.54."""
MAX_DRIFT_DEGREES = 8.0
MAX_DRIFT_HEIGHTS = 0.10
"""Mean pose of the last five seconds against the first five: real clips of 10 s and more show up to 7.4
degrees and 0.07 face heights; a head that walks off keeps going."""
MAX_ACCELERATION_RATIO = 1.5
"""Median landmark acceleration over that of real clips; jitter is all acceleration and no travel."""
MAX_SILENT_OPENING = 0.02
"""Mean mouth opening, in face heights, once silence has lasted half a second: closed lips track at 0.001
to 0.006, the medians of talking mouths at 0.034 to 0.087."""

MIN_HEAD_MOTION_GAIN = 1.5
"""Head movement at --head-motion 64 over that at 16."""
MIN_CONTROL_GAIN = 1.1
"""Amplitude at the last over that at the first value of a control: less cannot be seen."""
MIN_CONTROL_RANK = 0.8
"""Rank correlation of amplitude and control: of six values, neighbours may change places, no more."""
MAX_CONTROL_R_CHANGE = 0.10
"""Change of lip correlation while another control is turned."""

MAX_MEAN_IDENTITY_DISTANCE = 0.35
MAX_WORST_IDENTITY_DISTANCE = 0.5
"""Distance of dlib's face descriptors; it was trained so that 0.6 separates people. The example
portraits are 0.54 to 0.94 apart, each from its mirror image 0.13 to 0.20."""

MAX_REALTIME_FACTOR = 1.0
MAX_PEAK_MEMORY_MB = 2000.0
MAX_DECODER_MS = 25.0
"""On 2 cores, 512 x 512 px, 10 s of speech, the whole command."""

"""Every rate of the system and the ratios between them, derived once (paper section 3.1; NOTES 1.1, 1.4)."""

SAMPLE_RATE_HZ = 16_000
"""Samples a second of the mono sound that the networks read."""
HIDDEN_STATE_HZ = 50
"""Rows of Whisper's hidden states a second."""
VIDEO_FPS = 25.0
"""Frames of a video a second."""
LATENT_FPS = 12.5
"""Latents a second, which the UNet generates. The codec adds a frame between every two."""

SAMPLES_PER_HIDDEN_STATE = SAMPLE_RATE_HZ // HIDDEN_STATE_HZ
SAMPLES_PER_VIDEO_FRAME = round(SAMPLE_RATE_HZ / VIDEO_FPS)
HIDDEN_STATES_PER_VIDEO_FRAME = round(HIDDEN_STATE_HZ / VIDEO_FPS)
HIDDEN_STATES_PER_LATENT = round(HIDDEN_STATE_HZ / LATENT_FPS)
VIDEO_FRAMES_PER_LATENT = round(VIDEO_FPS / LATENT_FPS)

LEAD_HIDDEN_STATES = 1
"""How much earlier than its sound the compact model shows a mouth: one hidden state, 20 ms.

It learns GRID's timing, where lips part 10 ms before the burst of a /b/. Viewers notice early sound sooner
than late sound, and broadcasts keep it between 15 ms early and 45 ms late (ATSC IS-191), whose middle is 15
ms late; whole hidden states need no interpolation."""

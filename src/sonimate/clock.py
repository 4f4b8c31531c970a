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

"""Speech with known phone times, driven through an articulation model: training data without a camera."""

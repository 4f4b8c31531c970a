"""Every text of the page, in English and Chinese."""

from __future__ import annotations

from collections.abc import Mapping

LANGUAGES = {"en": 0, "zh": 1}

KEY_PREFIX = "sonimate_"
"""Of the keys in Gradio's table, which has keys of its own."""

TEXTS: dict[str, tuple[str, str]] = {
    "title": ("# sonimate: a portrait speaks", "# sonimate：让肖像开口说话"),
    "intro": (
        "Give a portrait and a voice. Everything is computed on this machine; nothing is sent elsewhere.",
        "提供一张肖像和一段语音。所有计算都在本机完成，不会上传到任何地方。",
    ),
    "tab_make": ("Make a video", "制作视频"),
    "tab_compare": ("Compare", "对比"),
    "tab_gallery": ("Gallery", "作品"),
    "step_portrait": ("## 1. Portrait", "## 1. 肖像"),
    "step_speech": ("## 2. Speech", "## 2. 语音"),
    "step_settings": ("## 3. Settings", "## 3. 设置"),
    "portrait": ("Portrait: drop a picture, or take one", "肖像：拖入图片或拍照"),
    "portrait_alt": ("The portrait that you gave", "您提供的肖像"),
    "faces": ("Faces found: click the one that should speak", "检测到的人脸：点击要说话的人"),
    "faces_alt": ("The picture with numbered boxes around the faces", "人脸标有编号方框的图片"),
    "face": ("Face that speaks, from the left", "说话的人脸（从左数）"),
    "speech": ("Speech: drop a recording, or record one", "语音：拖入录音或现场录制"),
    "type": ("Or type what should be said", "或输入要说的话"),
    "text": ("Text", "文字"),
    "voice": ("Voice", "嗓音"),
    "speak": ("Turn the text into speech", "把文字变成语音"),
    "no_engine": (
        "No speech engine is installed. Install one by: apt install espeak-ng flite",
        "没有安装语音合成程序。安装方法：apt install espeak-ng flite",
    ),
    "dynamic_scale": ("Dynamic scale", "动态幅度"),
    "dynamic_scale_info": ("0.5 mild, 1 moderate, 2 intense", "0.5 轻微，1 适中，2 强烈"),
    "from_voice": ("Head motion and expression follow the voice", "头部动作和表情由语音决定"),
    "head_motion": ("Head motion", "头部动作"),
    "expression": ("Expression", "表情"),
    "background": ("Background", "背景"),
    "background_info": (
        "keep, transparent (a webm video), or a colour such as green or #00b140",
        "keep（保留）、transparent（透明 webm 视频），或颜色，如 green、#00b140",
    ),
    "steps": ("Steps", "采样步数"),
    "steps_info": ("more steps take longer", "步数越多越慢"),
    "size": ("Size of the video, pixels", "视频尺寸（像素）"),
    "default": ("default", "默认"),
    "seed": ("Seed", "随机种子"),
    "seed_info": ("empty: from picture and sound", "留空：由图片和语音决定"),
    "animate": ("Animate", "生成视频"),
    "stop": ("Stop", "停止"),
    "video": ("Video", "视频"),
    "examples_portrait": ("Example portraits", "示例肖像"),
    "examples_speech": ("Example recordings", "示例录音"),
    "first": ("Video A", "视频 A"),
    "second": ("Video B", "视频 B"),
    "choose_first": ("A", "A"),
    "choose_second": ("B", "B"),
    "play_both": ("Play both", "同时播放"),
    "compare_empty": ("Make two videos, then compare them here.", "制作两段视频后可在此对比。"),
    "same_settings": ("Both have the same settings.", "两段视频的设置相同。"),
    "setting": ("Setting", "设置"),
    "gallery": ("Past videos: choose one to play it", "以往的视频：选择一个播放"),
    "gallery_empty": ("Nothing yet. The videos that you make stay here.", "暂无作品，制作后会保存在这里。"),
    "past": ("Past video", "以往的视频"),
    "need_portrait": ("Add a portrait first.", "请先添加肖像。"),
    "need_speech": ("Add a recording, or type a text first.", "请先添加录音或输入文字。"),
    "waiting": ("Waiting until another video is done.", "正在等待其他视频完成。"),
    "read": ("Reading the files", "读取文件"),
    "load": ("Loading the model", "载入模型"),
    "listen": ("Listening to the speech", "分析语音"),
    "move": ("Computing the motion", "计算动作"),
    "draw": ("Drawing the frames", "绘制画面"),
    "left": ("about {seconds} s left", "大约还需 {seconds} 秒"),
    "done": ("Done in {seconds} s.", "完成，用时 {seconds} 秒。"),
    "stopped": ("Stopped.", "已停止。"),
    "progress": ("Progress", "进度"),
}  # fmt: skip


def say_in(language: str, key: str, **values: object) -> str:
    """A text in a language of LANGUAGES."""
    return TEXTS[key][LANGUAGES[language]].format(**values)


def language_of(query: Mapping[str, str], headers: Mapping[str, str]) -> str:
    """The language of a request: ?lang=, else the first of the browser's that the page has, else English."""
    wanted = [query.get("lang", ""), *headers.get("accept-language", "").split(",")]
    codes = [entry.strip().partition(";")[0].partition("-")[0].lower() for entry in wanted]
    return next((code for code in codes if code in LANGUAGES), "en")


def translations(language: str) -> dict[str, str]:
    """All texts of a language by their prefixed keys."""
    return {KEY_PREFIX + key: texts[LANGUAGES[language]] for key, texts in TEXTS.items()}

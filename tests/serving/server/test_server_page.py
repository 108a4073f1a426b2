"""The page, in a real browser: a voice is chosen, uploaded or recorded, a text spoken, heard and seen."""

import re
import tomllib
from pathlib import Path

import pytest
from chromium import open_chromium
from running import VOICE

ROOT = Path(__file__).resolve().parents[3]
PAGE = ROOT / "myxtts" / "serving" / "server" / "page"
DURATION = """audio => new Promise((done, failed) => {
  if (audio.readyState) done(audio.duration);
  audio.addEventListener("loadedmetadata", () => done(audio.duration));
  audio.addEventListener("error", () => failed(audio.error));
})"""
# share of the picture, beside its axes, that is brighter than its ground
PAINTED = """canvas => {
  const [left, rows] = [canvas.width * 0.1, canvas.height * 0.9];
  const pixels = canvas.getContext('2d').getImageData(left, 0, canvas.width - left, rows).data;
  let bright = 0;
  for (let place = 0; place < pixels.length; place += 4) bright += pixels[place] > 50;
  return bright / (pixels.length / 4);
}"""


@pytest.fixture(scope="module")
def browser():
    with open_chromium() as chromium:
        yield chromium


@pytest.fixture
def served(serve):
    with serve() as client:
        yield client


@pytest.fixture
def page(browser, served):
    """The page, loaded; a test fails where it asks another machine for anything, or throws."""
    tab, faults = browser.new_page(viewport={"width": 1280, "height": 800}), []
    tab.set_default_timeout(120_000)
    address = str(served.base_url)
    tab.on("pageerror", lambda error: faults.append(str(error)))
    tab.on(
        "console", lambda said: faults.append(said.text) if said.type == "error" and "Failed to load resource" not in said.text else None
    )
    tab.on("request", lambda asked: faults.append(asked.url) if not asked.url.startswith((address, "blob:", "data:")) else None)
    tab.goto(address)
    tab.locator("#model", has_text="24 kHz").wait_for()
    yield tab
    tab.close()
    assert not faults


def spoken(page):
    """Seconds of the speech that is there to be heard."""
    page.locator("#status", has_text="s of speech").wait_for()
    page.locator("#audio").wait_for()
    return page.locator("#audio").evaluate(DURATION)


def test_a_text_is_typed_spoken_heard_and_seen(page):
    assert page.locator("#voice").input_value() == VOICE
    assert not page.locator("#audio").is_visible() and not page.locator("#figure").is_visible()
    page.get_by_role("textbox", name="Text").fill("good morning to all of you")
    assert page.locator("#count").inner_text() == "26 of 2000 characters"
    page.get_by_role("button", name="Speak").click()
    seconds = spoken(page)
    assert seconds > 0.1 and f"{seconds:.1f} s of speech" in page.locator("#status").inner_text()
    assert page.locator("#spectrogram").evaluate(PAINTED) > 0.1
    assert page.locator("#download").get_attribute("href").startswith("blob:")
    assert not page.locator("#error").is_visible()


def test_a_click_in_the_picture_goes_there(page):
    page.get_by_role("textbox", name="Text").fill("good morning to all of you")
    page.get_by_role("button", name="Speak").click()
    seconds = spoken(page)
    page.locator("#audio").evaluate("audio => audio.pause()")
    box = page.locator("#picture").bounding_box()
    page.mouse.click(box["x"] + 34 + (box["width"] - 34) / 2, box["y"] + 20)
    assert page.locator("#audio").evaluate("audio => audio.currentTime") == pytest.approx(seconds / 2, abs=0.02)


def test_a_recording_is_uploaded_and_speaks(page, served, wav, tmp_path):
    (tmp_path / "Bob.wav").write_bytes(wav)
    page.get_by_text("New voice from a recording").click()
    page.get_by_label("Upload a recording").set_input_files(tmp_path / "Bob.wav")
    assert page.get_by_label("Name").input_value() == "Bob"
    page.get_by_role("button", name="Save").click()
    page.locator("#status", has_text="The voice “Bob” is there").wait_for()
    assert page.locator("#voice").input_value() == "Bob"
    page.keyboard.type("good morning")  # the text has the focus
    page.keyboard.press("Control+Enter")
    assert spoken(page) > 0.1
    page.once("dialog", lambda dialog: dialog.accept())
    page.get_by_role("button", name="Delete").click()
    page.locator("#voice option", has_text="Bob").wait_for(state="detached")
    assert served.get("/v1/voices").json() == {"voices": [{"name": VOICE}]}


def test_a_voice_is_recorded_and_speaks_persian(page, served):
    page.get_by_text("New voice from a recording").click()
    page.get_by_role("button", name="Record", exact=True).click()
    page.get_by_role("button", name="Stop").wait_for()
    page.wait_for_timeout(1500)
    page.locator("#record").click()
    page.locator("#reference").wait_for()
    assert (
        page.locator("#reference").evaluate(
            "audio => new Promise(done => { audio.onloadedmetadata = () => done(audio.duration); audio.load(); })"
        )
        > 1
    )
    page.get_by_label("Name").fill("مریم")
    page.get_by_role("button", name="Save").click()
    page.locator("#status", has_text="مریم").wait_for()
    assert {"name": "مریم"} in served.get("/v1/voices").json()["voices"]
    page.get_by_role("textbox", name="Text").fill("سلام به همه")
    assert page.locator("#text").evaluate("text => getComputedStyle(text).direction") == "rtl"
    page.get_by_role("button", name="Speak").click()
    assert spoken(page) > 0.1


def test_what_is_wrong_is_said_in_words(page, served):
    alert = page.get_by_role("alert")
    page.get_by_role("button", name="Speak").click()
    assert alert.inner_text() == "Type a text first: there is nothing to speak."
    page.get_by_role("textbox", name="Text").fill("雪")
    page.get_by_label("Language").select_option("en")
    page.get_by_role("button", name="Speak").click()
    page.get_by_role("alert").filter(has_text="does not know").wait_for()
    assert page.locator("#status").inner_text() == "Nothing was spoken."
    page.get_by_text("New voice from a recording").click()
    page.get_by_label("Name").fill("../x")
    page.get_by_role("button", name="Save").click()
    page.get_by_role("alert").filter(has_text="Choose a recording, or record one.").wait_for()
    page.get_by_label("Upload a recording").set_input_files({"name": "a.wav", "mimeType": "audio/wav", "buffer": b"no sound"})
    page.get_by_role("button", name="Save").click()
    page.get_by_role("alert").filter(has_text="The name of a voice is").wait_for()
    page.get_by_role("textbox", name="Text").fill("good morning")
    page.get_by_role("button", name="Speak").click()
    assert spoken(page) > 0.1 and not page.get_by_role("alert").is_visible(), "what was wrong is forgotten"


def test_a_server_that_stopped_is_said(browser, serve):
    tab = browser.new_page()
    with serve() as client:
        tab.goto(str(client.base_url))
        tab.locator("#model", has_text="24 kHz").wait_for()
    tab.get_by_role("textbox", name="Text").fill("good morning")
    tab.get_by_role("button", name="Speak").click()
    tab.get_by_role("alert").filter(has_text="The server does not answer").wait_for()
    assert tab.get_by_role("button", name="Speak").is_enabled()
    tab.close()


def test_with_a_key_the_page_asks_for_it(browser, serve):
    tab = browser.new_page()
    with serve(api_key="a-secret-key") as client:
        tab.goto(str(client.base_url))
        tab.get_by_label("Key of this server").fill("wrong key")
        tab.get_by_role("button", name="Use it").click()
        tab.get_by_role("alert").filter(has_text="Authorization").wait_for()
        tab.get_by_label("Key of this server").fill("a-secret-key")
        tab.get_by_role("button", name="Use it").click()
        tab.locator("#voice option", has_text=VOICE).wait_for(state="attached")
        tab.get_by_role("textbox", name="Text").fill("good morning")
        tab.get_by_role("button", name="Speak").click()
        assert spoken(tab) > 0.1 and not tab.locator("#key-form").is_visible()
    tab.close()


def test_it_is_used_by_keyboard_and_fits_a_phone(page):
    page.set_viewport_size({"width": 360, "height": 740})
    page.get_by_text("New voice from a recording").click()
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    reached = set()
    page.locator("body").press("Tab")
    for _ in range(20):
        reached.add(page.evaluate("document.activeElement.id || document.activeElement.tagName"))
        page.keyboard.press("Tab")
    assert {"voice", "delete", "SUMMARY", "files", "record", "name", "save", "text", "language", "seed", "temperature", "speak"} <= reached
    fields = "[...document.querySelectorAll('input, select, textarea')]"
    unnamed = page.evaluate(f"{fields}.filter(field => !field.labels.length).map(field => field.id)")
    assert unnamed == []


def test_the_page_needs_nothing_from_elsewhere(served):
    for path in PAGE.iterdir():
        assert not re.findall(r"(?:https?:)?//[\w.-]+\.\w+", path.read_text(encoding="utf-8")), path.name
    assert "default-src 'none'" in served.get("/").headers["content-security-policy"]
    for link in re.findall(r'(?:src|href)="(page/[^"]+)"', served.get("/").text):
        assert served.get(f"/{link}").status_code == 200


def test_an_installed_package_has_the_page():
    """Setuptools takes only what pyproject.toml names."""
    data = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["setuptools"]["package-data"]
    taken = {path for pattern in data["myxtts.serving.server"] for path in (ROOT / "myxtts/serving/server").glob(pattern)}
    assert set(PAGE.iterdir()) <= taken

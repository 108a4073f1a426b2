// The page of a MyXTTS server: choose, upload or record a voice, type a text, listen, look.
import { decode, drawSpectrogram, placeOf, shareAt, wavOf } from "./sound.js";

const $ = (id) => document.getElementById(id);
const READ_BY_SERVER = /\.(wav|flac|mp3|ogg|opus|aiff?)$/i; // other formats are converted here, as far as the browser knows them
const OPTIONS = ["speed", "temperature"];
let health = {};
let recorded = null; // Blob of a recording made here
let recorder = null;
let shown = null; // {samples, rate} of the speech that is heard
let speaking = null; // AbortController of the request in progress
let key = sessionStorage.getItem("key") ?? "";

// ---- asking the server

async function ask(path, options = {}) {
  const headers = { ...options.headers, ...(key ? { Authorization: `Bearer ${key}` } : {}) };
  let answer;
  try {
    answer = await fetch(path, { ...options, headers });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Error("The server does not answer: is it running, and is there a network?");
  }
  if (answer.ok) return answer;
  const told = await answer.json().catch(() => ({}));
  if (answer.status === 401) $("key-form").hidden = false;
  throw new Error(sentence(told.error?.message ?? `the server answered ${answer.status}`));
}

const sentence = (text) => `${text.charAt(0).toUpperCase()}${text.slice(1)}${/[.!?]$/.test(text) ? "" : "."}`;

function showError(error) {
  if (error.name === "AbortError") return;
  $("error").textContent = error.message;
  $("error").hidden = false;
  $("error").scrollIntoView({ block: "nearest" });
}

const clearError = () => { $("error").hidden = true; $("error").textContent = ""; };

// runs work with a button disabled; what it throws is shown
async function busy(button, work) {
  clearError();
  button.disabled = true;
  button.setAttribute("aria-busy", "true");
  try {
    await work();
  } catch (error) {
    showError(error);
  } finally {
    button.disabled = false;
    button.removeAttribute("aria-busy");
  }
}

// ---- what there is

async function start() {
  health = await (await ask("health")).json();
  const names = new Intl.DisplayNames(["en"], { type: "language", fallback: "code" });
  const languages = health.languages.map((code) => ({ code, name: names.of(code) }));
  $("model").textContent = `${health.model} · ${languages.map(({ name }) => name).join(", ")} · ${health.sample_rate / 1000} kHz`;
  const choices = languages.map(({ code, name }) => new Option(name, code));
  if (languages.length > 1) choices.unshift(new Option("as the text tells", ""));
  $("language").replaceChildren(...choices);
  $("language").value = health.language ?? choices[0].value;
  for (const name of OPTIONS.filter((option) => option in health.options)) {
    $(`${name}-field`).hidden = false;
    $(name).value = health.options[name];
    $(name).dispatchEvent(new Event("input"));
  }
  countCharacters();
  $("key-form").hidden = !health.key_needed || Boolean(key);
  if (!health.key_needed || key) await listVoices();
}

async function listVoices(chosen = $("voice").value) {
  const { voices } = await (await ask("v1/voices")).json();
  const choices = voices.map(({ name }) => Object.assign(new Option(name, name), { dir: "auto" }));
  $("voice").replaceChildren(...(choices.length ? choices : [new Option("no voice yet: make one below", "")]));
  if (voices.some(({ name }) => name === chosen)) $("voice").value = chosen;
  $("delete").disabled = !choices.length;
  if (!choices.length) $("new-voice").open = true;
}

function countCharacters() {
  const [count, most] = [[...$("text").value].length, health.limits?.characters ?? 0];
  $("count").textContent = `${count} of ${most} characters`;
  $("count").classList.toggle("over", count > most);
}

// ---- a new voice

async function recordings() {
  if (recorded) return [{ blob: recorded, name: "recording.wav" }];
  const files = [...$("files").files];
  if (!files.length) throw new Error("Choose a recording, or record one.");
  return Promise.all(files.map(async (file) => {
    if (READ_BY_SERVER.test(file.name)) return { blob: file, name: file.name };
    try {
      return { blob: wavOf(await decode(await file.arrayBuffer(), 48000)), name: `${file.name}.wav` };
    } catch {
      throw new Error(`This browser cannot read ${file.name}: convert it to WAV.`);
    }
  }));
}

async function saveVoice() {
  const name = $("name").value.trim();
  const form = new FormData();
  form.append("name", name);
  for (const recording of await recordings()) form.append("file", recording.blob, recording.name);
  $("status").textContent = "Making the voice …";
  try {
    await ask("v1/voices", { method: "POST", body: form });
  } catch (error) {
    $("status").textContent = "The voice was not made.";
    throw error;
  }
  await listVoices(name.normalize("NFC"));
  $("status").textContent = `The voice “${name}” is there.`;
  $("voice-form").reset();
  useRecording(null);
  $("new-voice").open = false;
  $("text").focus();
}

// a Blob is the recording of the new voice, null: none
function useRecording(blob) {
  if ($("reference").src) URL.revokeObjectURL($("reference").src);
  recorded = blob;
  $("reference").hidden = !blob;
  if (blob) $("reference").src = URL.createObjectURL(blob);
  else $("reference").removeAttribute("src");
}

async function record() {
  if (recorder) { recorder.stop(); return; }
  if (!navigator.mediaDevices) throw new Error("The browser records on pages of https or of this machine only: upload a recording.");
  let stream;
  try {
    stream = await navigator.mediaDevices.getUserMedia({ audio: { echoCancellation: false, noiseSuppression: false } });
  } catch (error) {
    throw new Error(`The microphone cannot be used (${error.message}): allow it in the browser, or upload a recording.`);
  }
  const pieces = [];
  const began = performance.now();
  const showTime = () => { $("record-time").value = `${((performance.now() - began) / 1000).toFixed(1)} s`; };
  const timer = setInterval(() => {
    showTime();
    if (performance.now() - began > (health.limits.voice_seconds - 1) * 1000) recorder?.stop();
  }, 100);
  recorder = new MediaRecorder(stream);
  recorder.ondataavailable = ({ data }) => pieces.push(data);
  recorder.onstop = async () => {
    clearInterval(timer);
    stream.getTracks().forEach((track) => track.stop());
    recorder = null;
    $("record").classList.remove("recording");
    $("record-text").textContent = "Record again";
    try {
      useRecording(wavOf(await decode(await new Blob(pieces).arrayBuffer(), 48000)));
      $("files").value = "";
      $("name").focus();
    } catch {
      showError(new Error("The recording cannot be read: record it again, and for longer."));
    }
  };
  recorder.start();
  $("record").classList.add("recording");
  $("record-text").textContent = "Stop";
}

// ---- speech

function wanted() {
  const text = $("text").value;
  if (!text.trim()) throw new Error("Type a text first: there is nothing to speak.");
  if (!$("voice").value) throw new Error("Make a voice first: upload or record some seconds of speech.");
  if (!$("seed").checkValidity()) throw new Error("The seed is a whole number from 0 to 2147483647.");
  const body = { text, voice: $("voice").value, seed: Number($("seed").value) };
  if ($("language").value) body.language = $("language").value;
  for (const name of OPTIONS) if (!$(`${name}-field`).hidden) body[name] = Number($(name).value);
  return body;
}

async function speak() {
  const body = JSON.stringify(wanted());
  speaking = new AbortController();
  $("stop").hidden = false;
  $("status").textContent = "Speaking …";
  const began = performance.now();
  try {
    const answer = await ask("v1/speech", {
      method: "POST", headers: { "Content-Type": "application/json" }, body, signal: speaking.signal,
    });
    const blob = await answer.blob();
    const seconds = (performance.now() - began) / 1000;
    await showSpeech(blob);
    const length = shown.samples.length / shown.rate;
    const cut = answer.headers.get("X-Stopped") === "false" ? " The model did not end by itself; it was cut." : "";
    $("status").textContent = `${length.toFixed(1)} s of speech, made in ${seconds.toFixed(1)} s.${cut}`;
  } catch (error) {
    $("status").textContent = error.name === "AbortError" ? "Stopped." : "Nothing was spoken.";
    throw error;
  } finally {
    speaking = null;
    $("stop").hidden = true;
  }
}

async function showSpeech(blob) {
  shown = await decode(await blob.arrayBuffer(), health.sample_rate);
  if ($("audio").src) URL.revokeObjectURL($("audio").src);
  $("audio").src = URL.createObjectURL(blob);
  $("download").href = $("audio").src;
  $("audio").hidden = false;
  $("figure").hidden = false;
  drawSpectrogram($("spectrogram"), shown);
  movePlayhead();
  $("result").scrollIntoView({ block: "nearest" }); // on a phone it is below
  $("audio").play().catch(() => {}); // a browser may want a click first: the button is there
}

function movePlayhead() {
  const { currentTime, duration } = $("audio");
  $("playhead").style.left = `${100 * placeOf($("spectrogram"), duration ? currentTime / duration : 0)}%`;
  if (!$("audio").paused) requestAnimationFrame(movePlayhead);
}

// ---- what a person does

$("voice-form").addEventListener("submit", (event) => { event.preventDefault(); busy($("save"), saveVoice); });
$("speech-form").addEventListener("submit", (event) => { event.preventDefault(); busy($("speak"), speak); });
$("key-form").addEventListener("submit", (event) => {
  event.preventDefault();
  key = $("key").value.trim();
  sessionStorage.setItem("key", key);
  clearError();
  start().catch(showError);
});
$("record").addEventListener("click", () => { clearError(); record().catch(showError); });
$("stop").addEventListener("click", () => speaking?.abort());
$("delete").addEventListener("click", () => {
  const name = $("voice").value;
  if (!name || !window.confirm(`Delete the voice “${name}”?`)) return;
  busy($("delete"), () => ask(`v1/voices/${encodeURIComponent(name)}`, { method: "DELETE" })).then(() => listVoices()).catch(showError);
});
$("files").addEventListener("change", () => {
  const [file] = $("files").files;
  if (!file) return;
  useRecording(null);
  $("name").value ||= file.name.replace(/\.[^.]*$/, "").slice(0, 64);
});
$("text").addEventListener("input", countCharacters);
$("text").addEventListener("keydown", (event) => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey) && !$("speak").disabled) $("speech-form").requestSubmit();
});
for (const name of OPTIONS) $(name).addEventListener("input", () => { $(`${name}-value`).value = Number($(name).value).toFixed(2); });
for (const name of ["play", "seeked", "timeupdate"]) $("audio").addEventListener(name, movePlayhead);
$("picture").addEventListener("click", ({ clientX }) => {
  const share = shareAt($("spectrogram"), clientX - $("picture").getBoundingClientRect().left);
  if ($("audio").duration) $("audio").currentTime = share * $("audio").duration;
});
window.addEventListener("resize", () => { if (shown) drawSpectrogram($("spectrogram"), shown); });

start().catch(showError);

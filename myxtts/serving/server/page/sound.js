// Sound in the browser: decoded, written as WAV, drawn as a spectrogram.

const FFT_SIZE = 1024;
const RANGE_DB = 75; // below the loudest: black
const COLOURS = [[8, 6, 15], [54, 16, 97], [125, 32, 122], [196, 58, 103], [243, 112, 85], [254, 190, 120], [252, 253, 200]];
const MARGIN = { left: 34, bottom: 20 }; // of the picture, for the axes, in CSS pixels

// ArrayBuffer of an audio file -> {samples: Float32Array (N,) mono, rate in Hz}; rejects what this browser cannot decode
export async function decode(content, rate = 24000) {
  const buffer = await new OfflineAudioContext(1, 1, rate).decodeAudioData(content);
  const samples = new Float32Array(buffer.length);
  for (let channel = 0; channel < buffer.numberOfChannels; channel += 1) {
    buffer.getChannelData(channel).forEach((value, index) => { samples[index] += value / buffer.numberOfChannels; });
  }
  return { samples, rate: buffer.sampleRate };
}

// samples (N,) -> a Blob: WAV, 16 bits, mono
export function wavOf({ samples, rate }) {
  const view = new DataView(new ArrayBuffer(44 + 2 * samples.length));
  const write = (offset, text) => [...text].forEach((letter, index) => view.setUint8(offset + index, letter.charCodeAt(0)));
  write(0, "RIFF"); view.setUint32(4, 36 + 2 * samples.length, true); write(8, "WAVEfmt ");
  view.setUint32(16, 16, true); view.setUint16(20, 1, true); view.setUint16(22, 1, true);
  view.setUint32(24, rate, true); view.setUint32(28, 2 * rate, true); view.setUint16(32, 2, true); view.setUint16(34, 16, true);
  write(36, "data"); view.setUint32(40, 2 * samples.length, true);
  samples.forEach((value, index) => view.setInt16(44 + 2 * index, Math.max(-1, Math.min(1, value)) * 32767, true));
  return new Blob([view], { type: "audio/wav" });
}

// power of the lower half of the bins of a windowed frame that begins at `start`; radix 2, in place
function powerSpectrum(samples, start, real, imaginary) {
  for (let index = 0, reversed = 0; index < FFT_SIZE; index += 1) {
    const window = 0.5 - 0.5 * Math.cos((2 * Math.PI * index) / FFT_SIZE);
    real[reversed] = (samples[start + index] ?? 0) * window;
    imaginary[reversed] = 0;
    let bit = FFT_SIZE >> 1;
    while (reversed & bit) { reversed ^= bit; bit >>= 1; }
    reversed |= bit;
  }
  for (let size = 2; size <= FFT_SIZE; size *= 2) {
    for (let offset = 0; offset < size / 2; offset += 1) {
      const angle = (-2 * Math.PI * offset) / size;
      const cosine = Math.cos(angle);
      const sine = Math.sin(angle);
      for (let even = offset; even < FFT_SIZE; even += size) {
        const odd = even + size / 2;
        const re = real[odd] * cosine - imaginary[odd] * sine;
        const im = real[odd] * sine + imaginary[odd] * cosine;
        real[odd] = real[even] - re; imaginary[odd] = imaginary[even] - im;
        real[even] += re; imaginary[even] += im;
      }
    }
  }
  return Float32Array.from({ length: FFT_SIZE / 2 }, (_, bin) => real[bin] ** 2 + imaginary[bin] ** 2);
}

const mel = (hertz) => 2595 * Math.log10(1 + hertz / 700);
const hertzOf = (value) => 700 * (10 ** (value / 2595) - 1);

function colour(level) {
  const place = Math.max(0, Math.min(0.9999, level)) * (COLOURS.length - 1);
  const [low, high] = [COLOURS[Math.floor(place)], COLOURS[Math.floor(place) + 1]];
  return low.map((value, index) => value + (high[index] - value) * (place % 1));
}

// draws the spectrogram of samples on a canvas as large as it is shown; pitch on the mel scale, with axes
export function drawSpectrogram(canvas, { samples, rate }) {
  const scale = window.devicePixelRatio || 1;
  const [width, height] = [canvas.clientWidth, canvas.clientHeight].map((size) => Math.max(80, Math.round(size * scale)));
  Object.assign(canvas, { width, height });
  const context = canvas.getContext("2d");
  const [left, columns, rows] = [Math.round(MARGIN.left * scale), width - Math.round(MARGIN.left * scale), height - Math.round(MARGIN.bottom * scale)];
  const [real, imaginary] = [new Float32Array(FFT_SIZE), new Float32Array(FFT_SIZE)];
  const frames = Array.from({ length: columns }, (_, column) => {
    const centre = Math.round(((column + 0.5) / columns) * samples.length);
    return powerSpectrum(samples, centre - FFT_SIZE / 2, real, imaginary);
  });
  const loudest = frames.reduce((most, frame) => frame.reduce((a, b) => Math.max(a, b), most), 1e-12);
  const image = context.createImageData(columns, rows);
  for (let row = 0; row < rows; row += 1) {
    const bin = (hertzOf(mel(rate / 2) * (1 - (row + 0.5) / rows)) / rate) * FFT_SIZE;
    const [below, share] = [Math.min(Math.floor(bin), FFT_SIZE / 2 - 2), bin % 1];
    frames.forEach((frame, column) => {
      const power = frame[below] * (1 - share) + frame[below + 1] * share;
      image.data.set([...colour(1 + (10 * Math.log10(power / loudest + 1e-12)) / RANGE_DB), 255], 4 * (row * columns + column));
    });
  }
  context.fillStyle = "#08060f";
  context.fillRect(0, 0, width, height);
  context.putImageData(image, left, 0);
  drawAxes(context, { left, columns, rows, scale, seconds: samples.length / rate, top: rate / 2 });
}

function drawAxes(context, { left, columns, rows, scale, seconds, top }) {
  Object.assign(context, { fillStyle: "#cfd3e0", font: `${11 * scale}px system-ui, sans-serif`, textBaseline: "middle", textAlign: "right" });
  for (const kilohertz of [0.25, 0.5, 1, 2, 4, 8].filter((value) => value * 1000 < top * 0.95)) {
    const y = rows * (1 - mel(kilohertz * 1000) / mel(top));
    context.fillText(String(kilohertz), left - 6 * scale, y);
    context.fillRect(left - 4 * scale, y, 4 * scale, scale);
  }
  const step = [0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60, 300].find((value) => (columns / scale) * (value / seconds) >= 45) ?? 600;
  Object.assign(context, { textAlign: "center", textBaseline: "bottom" });
  for (let time = step; time < seconds * 0.97; time += step) {
    const x = left + (columns * time) / seconds;
    context.fillRect(x, rows, scale, 4 * scale);
    context.fillText(`${Number(time.toFixed(1))} s`, x, rows + (MARGIN.bottom - 2) * scale);
  }
}

// where a time lies in the picture, as a share of its width, and back
export function placeOf(canvas, share) {
  const left = MARGIN.left / canvas.clientWidth;
  return left + (1 - left) * share;
}

export function shareAt(canvas, x) {
  return Math.max(0, Math.min(1, (x - MARGIN.left) / (canvas.clientWidth - MARGIN.left)));
}

"""Pages in a browser without a window."""

from __future__ import annotations

import html
import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

BROWSER = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), ""
)
_ANSWER = "weft-answer"


def dom(page: Path, address: str = "", width: int = 1400, dark: bool = False) -> tuple[str, str]:
    """What the page is once its scripts have run, and what the browser says about it."""
    with_profile = f"--user-data-dir={page.parent / f'profile-{width}-{dark}'}"
    scheme = f"--blink-settings=preferredColorScheme={0 if dark else 1}"
    done = subprocess.run(
        [BROWSER, "--headless", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr",
         with_profile, scheme, f"--window-size={width},1000", "--dump-dom",
         f"{page.as_uri()}{address}"],
        capture_output=True, text=True, timeout=120, check=True,
    )  # fmt: skip
    return done.stdout, done.stderr


def asked(page: Path, function: str, width: int = 1400, dark: bool = False) -> Any:
    """What a JavaScript function says about a page; its answer is data."""
    text = page.read_text(encoding="utf-8")
    script = (
        "<script>addEventListener('load', () => { const at = document.createElement('pre');"
        f"at.id = '{_ANSWER}'; at.textContent = JSON.stringify(({function})());"
        "document.body.append(at); });</script>"
    )
    copy = page.with_name(f"asked-{width}-{dark}-{page.name}")
    copy.write_text(text.replace("</body>", f"{script}</body>"), encoding="utf-8")
    found = re.search(rf'<pre id="{_ANSWER}">(.*?)</pre>', dom(copy, "", width, dark)[0], re.DOTALL)
    assert found is not None
    return json.loads(html.unescape(found[1]))


CONTRASTS = """() => {
  const channels = text => (text.match(/[\\d.]+/g) || []).map(Number);
  const luminance = c => {
    const [r, g, b] = c.map(v => v / 255).map(
      v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const over = (top, below, alpha) => top.map((v, i) => v * alpha + below[i] * (1 - alpha));
  const paint = element => {
    const style = getComputedStyle(element);
    const svg = element instanceof SVGElement && element.tagName !== 'svg';
    const [r, g, b, a] = channels(svg ? style.fill : style.backgroundColor);
    if (r === undefined) return null;
    const alpha = (a === undefined ? 1 : a) * (svg ? style.fillOpacity : 1) * style.opacity;
    return alpha > 0 ? [[r, g, b], alpha] : null;
  };
  const ground = (own, x, y) => {
    const layers = [];
    for (const element of document.elementsFromPoint(x, y)) {
      if (element === own || own.contains(element) || ['text', 'tspan', 'line', 'path'].includes(
        element.tagName)) continue;
      const found = paint(element);
      if (found) layers.push(found);
    }
    if (own instanceof HTMLElement && paint(own)) layers.unshift(paint(own));
    const canvas = getComputedStyle(document.documentElement).colorScheme.includes('dark')
      && matchMedia('(prefers-color-scheme: dark)').matches ? [18, 18, 18] : [255, 255, 255];
    return layers.reverse().reduce((below, [colour, alpha]) => over(colour, below, alpha), canvas);
  };
  const rows = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const node = walker.currentNode, own = node.parentElement;
    if (!node.textContent.trim() || ['SCRIPT', 'STYLE', 'title'].includes(own.tagName)) continue;
    const range = document.createRange();
    range.selectNodeContents(node);
    if (!range.getClientRects().length) continue;
    own.scrollIntoView({block: 'center', inline: 'center'});
    const box = range.getClientRects()[0];
    if (!box.width || !box.height) continue;
    const [x, y] = [box.x + box.width / 2, box.y + box.height / 2];
    const style = getComputedStyle(own);
    if (style.visibility !== 'visible') continue;
    const svg = own instanceof SVGElement;
    const [r, g, b, a] = channels(svg ? style.fill : style.color);
    const below = ground(own, x, y);
    let alpha = a === undefined ? 1 : a;
    for (let at = own; at; at = at.parentElement) alpha *= getComputedStyle(at).opacity;
    const [one, other] = [luminance(over([r, g, b], below, alpha)), luminance(below)];
    const ratio = (Math.max(one, other) + 0.05) / (Math.min(one, other) + 0.05);
    const words = node.textContent.trim().slice(0, 40);
    rows.push([ratio, words, own.tagName, style.color, below.join()]);
  }
  return rows;
}"""
"""Of every text that is drawn: its contrast with what lies below it, the text, and where it is."""

"""How the report looks, on a light and on a dark screen, wide and narrow."""

STYLE = """
:root{color-scheme:light dark;--ink:#1f2328;--soft:#57606a;--line:#d3d9e0;--ground:#fff;--panel:#f5f7f9;--kept:#3b76b8;--rejected:#d9822b;
--limit:#b3261e;--target:#2e7d4f;--warn:#fff3dc;--warn-ink:#7a4700}
@media(prefers-color-scheme:dark){:root{--ink:#e4e9ef;--soft:#9da9b5;--line:#39424c;--ground:#13171c;--panel:#1c2229;--kept:#6aa9ea;
--rejected:#efa65a;--limit:#ff8a80;--target:#7fcf9d;--warn:#3b2c10;--warn-ink:#ffd48a}}
*{box-sizing:border-box}
body{font:15px/1.5 system-ui,sans-serif;margin:0 auto;max-width:1060px;padding:1.5em 1em 4em;color:var(--ink);background:var(--ground)}
h1{margin:0 0 .6em}h2{margin:2em 0 .5em;border-bottom:1px solid var(--line);padding-bottom:.2em}h3{margin:1.4em 0 .4em}
p{margin:.4em 0;max-width:52em;overflow-wrap:anywhere}code{font-size:.92em;overflow-wrap:anywhere}.soft{color:var(--soft);font-size:.88em}
a{color:var(--kept)}nav{display:flex;flex-wrap:wrap;gap:.2em 1.2em;margin-top:1em}
.tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(120px,1fr));gap:.6em}
.tiles div{background:var(--panel);border-radius:8px;padding:.6em .8em}.tiles b{display:block;font-size:1.35em;white-space:nowrap}
.tiles span{color:var(--soft);font-size:.85em}
.findings{list-style:none;padding:0}
.findings li{background:var(--warn);border-left:4px solid var(--rejected);border-radius:4px;padding:.5em .8em;margin:.5em 0}
.findings b{color:var(--warn-ink);overflow-wrap:anywhere}
table{border-collapse:collapse}.wide{overflow-x:auto}
.wide td,.wide th{border-bottom:1px solid var(--line);padding:.3em .8em .3em 0;text-align:left;vertical-align:top}
.number{text-align:right!important;font-variant-numeric:tabular-nums;white-space:nowrap}
.bars{width:100%;table-layout:fixed}
.bars th{width:24%;text-align:start;font-weight:400;overflow-wrap:anywhere;padding:.12em .6em .12em 0;line-height:1.3}
.bars .number{width:17.5em;text-align:left!important;padding-left:.8em;color:var(--soft);font-size:.88em}.bar svg{display:block}
rect.kept{fill:var(--kept)}rect.rejected{fill:var(--rejected)}
i.kept,i.rejected{display:inline-block;width:.8em;height:.8em;border-radius:2px;background:var(--kept)}
i.rejected{background:var(--rejected)}
.charts{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(100%,440px),1fr));gap:1.6em 1.2em;margin:1em 0}
figure{margin:0}figcaption{font-size:.9em;margin-bottom:.2em}.chart{width:100%;height:auto;display:block}
.chart text{font:12px system-ui,sans-serif;fill:var(--soft)}.chart .grid{stroke:var(--line)}
.chart line.limit{stroke:var(--limit);stroke-dasharray:5 3;stroke-width:1.5}.chart text.limit{fill:var(--limit)}
.chart line.target{stroke:var(--target);stroke-dasharray:2 3;stroke-width:1.5}.chart text.target{fill:var(--target)}
.characters{list-style:none;padding:0;display:flex;flex-wrap:wrap;gap:4px}
.characters li{background:var(--panel);border-radius:4px;min-width:3.6em;padding:.1em .3em .2em;text-align:center;line-height:1.35}
.characters bdi{display:block;font-size:1.15em}.characters span{display:block;color:var(--soft);font-size:.75em}
.characters i{display:block;height:3px;background:var(--kept);border-radius:2px}.characters .gap{background:none;align-self:center}
.rare,.characters li.rare,.characters li.rare span{background:var(--warn);color:var(--warn-ink)}
.characters li.rare i{background:var(--rejected)}
span.rare{border-radius:3px;padding:0 .3em}
details{margin:.4em 0}summary{cursor:pointer}
.cards{padding-left:1.6em}ul.cards{list-style:none;padding:0}
.cards li{background:var(--panel);border-radius:8px;padding:.6em .9em;margin:.6em 0}
.cards p{margin:.25em 0;max-width:none}audio{width:100%;max-width:420px;height:36px;display:block;margin-top:.4em}
@media(max-width:560px){.bars,.bars tbody,.bars tr,.bars th,.bars td{display:block;width:auto!important}.bars .number{padding:0 0 .5em}
.bars th{padding:0}
.chart text{font-size:15px}}
@media print{details:not([open])>*{display:block}audio{display:none}}
"""

"""The page of `dvc plots show` and `dvc plots diff` with its drawing code inside: DVC's own loads it from the internet."""

from pathlib import Path

from myxtts.config import MyXTTSError
from myxtts.pipeline.project import dvc, ensure_dvc

PAGE = "plots.html"  # in .dvc
VEGA_LITE = "5.21"  # DVC's plots are written for Vega-Lite 5
# {refresh_tag} and {plot_divs} are filled in by DVC; {scripts}, the addresses of the drawing code, is left out
TEMPLATE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
{refresh_tag}
<title>DVC plots</title>
<style>body {font: 15px system-ui, sans-serif; margin: 2em} table {border-spacing: 15px}</style>
<script>(function () {
DRAWING_CODE
})();</script>
</head>
<body>
{plot_divs}
</body>
</html>
"""


def use_offline_page(root: Path) -> Path:
    """From now on `dvc plots show` and `diff` of this checkout write pages that need no network. Returns the template.

    Raises MyXTTSError where the package that carries the drawing code is not installed.
    """
    try:
        import vl_convert
    except ImportError:
        raise MyXTTSError("the drawing code is in the package vl-convert-python, which is not installed: pip install '.[plots]'") from None
    if not (root / ".dvc" / "config").is_file():
        ensure_dvc(root)
    page = root / ".dvc" / PAGE
    page.write_text(template(vl_convert.javascript_bundle(vl_version=VEGA_LITE)), encoding="utf-8")
    dvc(root, "config", "-q", "--local", "plots.html_template", PAGE)  # a relative path is taken from .dvc
    return page


def template(code: str) -> str:
    """The page with this JavaScript inside, which makes `vegaEmbed`."""
    # the end of a script inside a string would end ours
    return TEMPLATE.replace("DRAWING_CODE", code.replace("</script", "<\\/script"))

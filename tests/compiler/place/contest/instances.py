"""Small instances in the contest's syntax, made here."""

from __future__ import annotations

from pathlib import Path

from hypothesis import strategies as st

CHAIN = """(*
test=chain
width={columns}
height={rows}
wdeltat=1
wlength={wire}
wadapter=0
memlimit=24576
*)

(* nodes *)
input[ 0] n=[56 56 64] name='k0'
dblock[1] h=56 w=56 f=256 name='a'
cblock[ 2] h=56 w=56 f=512 name='b'
dblock[3] f=512 h=28 w=28 name='c'
conv[4] W=28 H=28 R=3 S=3 C=64 K=128 T=2 U=2 name='d'
output[5] n=[1] name='k5'

(* edges *)
input[0]:_ -> dblock[1]:x, shape:[56][56][64]
dblock[1]:y	->	cblock[2]:x, shape:[1]
cblock[2]:y -> dblock[3]:x, shape:[1]
dblock[3]:y -> conv[4]:x, shape:[1]
conv[4]:y -> output[5]:_, shape:[1]
"""


def written(folder: Path, columns: int = 300, rows: int = 280, wire: int = 1) -> Path:
    """A chain of four kernels on a wafer of this size."""
    path = folder / "chain.kgraph"
    path.write_text(CHAIN.format(columns=columns, rows=rows, wire=wire))
    return path


@st.composite
def instance_texts(draw: st.DrawFn) -> str:
    """Networks of up to eight kernels of any kind, with skipped connections, on any wafer."""
    sizes = {"width": (12, 90), "height": (12, 90), "wlength": (0, 50), "wadapter": (0, 100)}
    header = [f"{key}={draw(st.integers(*ends))}" for key, ends in sizes.items()]
    header += ["wdeltat=1", f"memlimit={draw(st.sampled_from((300, 24576)))}"]
    kinds = draw(st.lists(st.sampled_from(("conv", "dblock", "cblock")), min_size=1, max_size=8))
    side, channels = st.sampled_from((2, 7, 14)), st.sampled_from((4, 12, 32))
    nodes = []
    for number, kind in enumerate(kinds):
        formal = f"h={draw(side)} w={draw(side)} f={draw(channels)}"
        if kind == "conv":
            taps = draw(st.integers(1, 3))
            formal = f"H={draw(side)} W={draw(side)} R={taps} S={taps} C={draw(channels)}"
            formal += f" K={draw(channels)} T={draw(st.integers(1, 2))} U=1"
        nodes.append(f"{kind}[{number}] {formal} name='k{number}'")
    named = [f"{kind}[{number}]" for number, kind in enumerate(kinds)]
    ends = [(k, k + step) for step in (1, 2) for k in range(len(kinds) - step)]
    kept = [pair for pair in ends if draw(st.booleans())]
    edges = [f"{named[a]}:y -> {named[b]}:x, shape:[1]" for a, b in kept]
    return "\n".join(["(*", *header, "*)", *nodes, *edges, ""])

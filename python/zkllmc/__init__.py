"""Checks proofs about the answers of models that zkllmc compiled, and exports models of Hugging Face's format for the compiler.

    import zkllmc

    report = zkllmc.verify("sums.bundle", "statement.bin", "proof.bin", id=ID, prompt="327+458=")
    if not report:
        raise SystemExit(report.error)

The verifier is a program in this package; nothing of it is Python. A bundle is what `zkllmc bundle` wrote. Take its ID from somebody whom
you trust to have looked at the model with `accept`, never from whom the bundle or the proof came from.
"""

from .check import Report, accept, verify
from .error import Error

__all__ = ["Error", "Report", "accept", "export", "verify"]


def export(folder, out, **options):
    """Turns a folder of Hugging Face's format into ONNX with tokenizer and chat template: see zkllmc.huggingface.export.

    Needs `pip install 'WHEEL[export]'`.
    """
    from .huggingface import export as run

    return run(folder, out, **options)

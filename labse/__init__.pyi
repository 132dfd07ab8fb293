from labse.inference.loading import load as load
from labse.losses.additive_margin_softmax import (
    additive_margin_softmax as additive_margin_softmax,
)
from labse.mining.mine import mine as mine
from labse.modeling.dual_encoder import DualEncoder as DualEncoder
from labse.modeling.sentence_encoder import SentenceEncoder as SentenceEncoder
from labse.version import __version__ as __version__

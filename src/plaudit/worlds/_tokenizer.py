"""The tiny policies' tokenizer: one token for each character of the arithmetic world."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

ALPHABET = "\n #0123456789+-*/^()=?"
PAD, EOS, UNKNOWN = "<pad>", "<eos>", "<unk>"
VOCABULARY = {token: k for k, token in enumerate([PAD, EOS, UNKNOWN, *ALPHABET])}
"""Token ids by token."""

# Messages are put behind one another: the policies know one prompt and its solution, no roles.
_CHAT_TEMPLATE = "{% for message in messages %}{{ message['content'] }}{% endfor %}"


def encode(text: str) -> list[int]:
    """Token ids of a text, without the tokenizer's libraries; characters outside the alphabet are ``<unk>``.

    >>> encode("3+4")
    [9, 16, 10]
    """
    unknown = VOCABULARY[UNKNOWN]
    return [VOCABULARY.get(character, unknown) for character in text]


def build_tokenizer() -> PreTrainedTokenizerFast:
    """The tokenizer as Hugging Face's `tokenizers` runs it; ``AutoTokenizer`` loads it from a policy's folder.

    Nothing is added to a text: the end token is written by the policy, and there is no token for a beginning.
    """
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    # The packages declare these classes without types.
    word_level: Any = models.WordLevel
    fast: Any = PreTrainedTokenizerFast
    tokenizer: Any = Tokenizer(word_level(vocab=VOCABULARY, unk_token=UNKNOWN))
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex(r"[\s\S]"), behavior="isolated")
    tokenizer.decoder = decoders.Fuse()
    built: PreTrainedTokenizerFast = fast(
        tokenizer_object=tokenizer,
        pad_token=PAD,
        eos_token=EOS,
        unk_token=UNKNOWN,
        padding_side="left",
        clean_up_tokenization_spaces=False,
        model_max_length=256,
        chat_template=_CHAT_TEMPLATE,
    )
    return built

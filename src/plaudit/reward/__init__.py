"""The contract: rewards, comparators, their algebra, specs and fingerprints."""

from plaudit.reward._algebra import lexicographic, minimum
from plaudit.reward._base import Combinator, Reward
from plaudit.reward._check import check_reward
from plaudit.reward._check_report import CheckReport, Finding
from plaudit.reward._columns import combined
from plaudit.reward._comparator import Comparator
from plaudit.reward._configured import Configured
from plaudit.reward._explain import Explanation, explain
from plaudit.reward._facts import Facts, Lane, Range, Scope
from plaudit.reward._fingerprint import address_field
from plaudit.reward._function import Function, reward, to_verdict
from plaudit.reward._groups import group_index
from plaudit.reward._operands import joint_facts
from plaudit.reward._operators import Lexicographic, Minimum, Product, Sum
from plaudit.reward._spec import from_spec
from plaudit.reward._stamp import Stateful, stamp_of, stateful_leaves
from plaudit.reward._stream import RunProgress, score_stream
from plaudit.reward._stream_columns import leaf_columns
from plaudit.reward._stream_windows import score_windows
from plaudit.reward._tree import Leaf, leaves, use_name
from plaudit.reward._wrappers import Clip, Gate, Named, Part

__all__ = [
    "CheckReport",
    "Clip",
    "Combinator",
    "Comparator",
    "Configured",
    "Explanation",
    "Facts",
    "Finding",
    "Function",
    "Gate",
    "Lane",
    "Leaf",
    "Lexicographic",
    "Minimum",
    "Named",
    "Part",
    "Product",
    "Range",
    "Reward",
    "RunProgress",
    "Scope",
    "Stateful",
    "Sum",
    "address_field",
    "check_reward",
    "combined",
    "explain",
    "from_spec",
    "group_index",
    "joint_facts",
    "leaf_columns",
    "leaves",
    "lexicographic",
    "minimum",
    "reward",
    "score_stream",
    "score_windows",
    "stamp_of",
    "stateful_leaves",
    "to_verdict",
    "use_name",
]

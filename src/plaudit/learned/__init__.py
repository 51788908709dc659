"""Trained reward models: a small head on a frozen backbone, trained in seconds, saved with a self-test."""

from plaudit.learned._features import Features, features_at
from plaudit.learned._fit import Epoch, Fitted, Targets, Training, fit_head, pair_accuracy, targets_of_pairs
from plaudit.learned._folder import Loaded, read_folder
from plaudit.learned._head import HEADS, Head, HeadKind, score_rows
from plaudit.learned._hidden_features import HiddenFeatures
from plaudit.learned._losses import LOSSES, Loss, bradley_terry, cross_entropy
from plaudit.learned._measure import Measured
from plaudit.learned._reward_model import Output, RewardModel
from plaudit.learned._rows import FeatureRows, concatenate_rows
from plaudit.learned._text_features import TextFeatures
from plaudit.learned._trained import ScoreScale, TrainedModel, train
from plaudit.learned._training_set import SAID, TrainingSet, training_labels, training_pairs

__all__ = [
    "HEADS",
    "LOSSES",
    "SAID",
    "Epoch",
    "FeatureRows",
    "Features",
    "Fitted",
    "Head",
    "HeadKind",
    "HiddenFeatures",
    "Loaded",
    "Loss",
    "Measured",
    "Output",
    "RewardModel",
    "ScoreScale",
    "Targets",
    "TextFeatures",
    "TrainedModel",
    "Training",
    "TrainingSet",
    "bradley_terry",
    "concatenate_rows",
    "cross_entropy",
    "features_at",
    "fit_head",
    "pair_accuracy",
    "read_folder",
    "score_rows",
    "targets_of_pairs",
    "train",
    "training_labels",
    "training_pairs",
]

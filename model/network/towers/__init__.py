"""Pretrained towers: what each learned below its head, by local folder, hub name or the name of a pip package.

backbone.py          what the network knows of a tower: VisionBackbone, TextBackbone
vision_families.py   SigLIP 2, SigLIP, CLIP, ViT, DINOv2, DINOv3, Swin, ConvNeXt, EfficientNet-lite
text_families.py     SigLIP 2, SigLIP, CLIP, BERT, RoBERTa and XLM-R, MPNet, ModernBERT, DistilBERT
shared_space.py      SigLIP 2, SigLIP, CLIP with their heads: one vector for an image or a text
efficientnet_lite.py the network of EfficientNet-lite
sources.py           where a name leads, and what is said where it leads nowhere
opening.py           a checkpoint or a model folder -> a tower
pixels.py            the checkpoint's image processor -> mean and standard deviation
words.py             the checkpoint's tokenizer, and how its sentence vector is pooled
fingerprint.py       which tower is it? The key of what a frozen tower gives
fitting.py           whether the settings fit a tower
checks.py            whether the settings' towers can be used, seconds before a run

A model folder holds the towers' configurations beside the weights, so that it is loaded without the checkpoint:

    vision/config.json  vision/preprocessor_config.json  text/config.json  text/1_Pooling/config.json
"""

"""From stored images to the batch of a step: order, augmentation, mixing, images that stay on the device."""

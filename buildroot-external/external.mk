# Packages of this tree, and a check of the kernel's configuration that ends a build before hours were put into it.

include $(sort $(wildcard $(BR2_EXTERNAL_KEEPWELL_PATH)/package/*/*.mk))

define KEEPWELL_CHECK_KERNEL_CONFIG
	$(BR2_EXTERNAL_KEEPWELL_PATH)/scripts/check-kernel-config \
		$(LINUX_KCONFIG_FILE) \
		$(LINUX_KCONFIG_FRAGMENT_FILES) \
		$(BR2_EXTERNAL_KEEPWELL_PATH)/../image/kernel-options \
		$(LINUX_DIR)/.config
endef
LINUX_PRE_BUILD_HOOKS += KEEPWELL_CHECK_KERNEL_CONFIG

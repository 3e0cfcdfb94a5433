################################################################################
#
# keepwell
#
################################################################################

# The sources are the tree that this external tree is part of.
KEEPWELL_SITE = $(realpath $(BR2_EXTERNAL_KEEPWELL_PATH)/..)
KEEPWELL_SITE_METHOD = local
KEEPWELL_VERSION = $(shell $(BR2_EXTERNAL_KEEPWELL_PATH)/scripts/version)
KEEPWELL_LICENSE = Apache-2.0 or MIT
KEEPWELL_LICENSE_FILES = LICENSE-APACHE LICENSE-MIT
# legal-info would archive the tree with all that was ever built in it.
KEEPWELL_REDISTRIBUTE = NO
KEEPWELL_OVERRIDE_SRCDIR_RSYNC_EXCLUSIONS = \
	--exclude=/target \
	--exclude=/.demo

KEEPWELL_DEPENDENCIES = \
	host-pkgconf \
	openssl \
	systemd \
	tpm2-tss

# What a box has; the command line client of a workstation is not among it.
KEEPWELL_PROGRAMS = authd consoled diskd ingestd keyd notifyd recoverd replicad tty vaultd

KEEPWELL_CARGO_BUILD_OPTS = \
	$(addprefix --package=keepwell-,$(KEEPWELL_PROGRAMS)) \
	--config 'source.crates-io.replace-with="vendored"' \
	--config 'source.vendored.directory="VENDOR"'

# Buildroot sets its own profile in the environment. What is shipped is built
# as Cargo.toml says, and no path of the machine that built it is inside.
KEEPWELL_CARGO_ENV = \
	CARGO_PROFILE_RELEASE_LTO=thin \
	CARGO_PROFILE_RELEASE_CODEGEN_UNITS=4 \
	CARGO_PROFILE_RELEASE_OPT_LEVEL=3 \
	CARGO_TARGET_$(call UPPERCASE,$(RUSTC_TARGET_NAME))_RUSTFLAGS="--remap-path-prefix=$(@D)=/usr/src/keepwell"

# A release brings the crates along in VENDOR. From a checkout they are fetched
# here, once, by cargo and as Cargo.lock says; what follows is offline.
define KEEPWELL_VENDOR
	test -d $(SRCDIR)/VENDOR || \
	( cd $(@D) && flock $(BR_CARGO_HOME)/.br-lock \
		env $(TARGET_MAKE_ENV) $(PKG_COMMON_CARGO_ENV) \
		cargo vendor --quiet --locked VENDOR >/dev/null )
endef
KEEPWELL_POST_RSYNC_HOOKS += KEEPWELL_VENDOR

define KEEPWELL_INSTALL_TARGET_CMDS
	$(@D)/systemd/install $(TARGET_DIR)
	$(foreach program,mount smart $(KEEPWELL_PROGRAMS),\
		$(INSTALL) -D -m 0755 \
			$(@D)/target/$(RUSTC_TARGET_NAME)/release/keepwell-$(program) \
			$(TARGET_DIR)/usr/bin/keepwell-$(program)
	)
endef

$(eval $(cargo-package))

# The hook above needs cargo before the step that all dependencies precede.
$(KEEPWELL_TARGET_RSYNC): | host-rustc
